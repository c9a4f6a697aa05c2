// Mutants of replication and commitment.

/** @type {ReadonlyArray<import("./index.mjs").Mutant>} */
export const replication = [
  {
    id: "commits-earlier-term",
    bug: "B15",
    what: "entries of earlier terms are committed by counting copies (figure 8)",
    expect: ["I12"],
    edits: [{
      file: "rules/Commitment.ts",
      from: "  return index > committed && replication.termAt(index) === term ? index : committed",
      to: "  return index > committed && replication.termAt(index) !== undefined && term > 0 ? index : committed"
    }]
  },
  {
    id: "unsorted-quorum",
    bug: "B17",
    what: "the median of what voters hold is taken without sorting",
    expect: ["I7"],
    edits: [{
      file: "rules/Quorum.ts",
      from: "voters.map(reached).sort((a, b) => b - a)",
      to: "voters.map(reached)"
    }]
  },
  {
    id: "minority-commits",
    bug: "B17, B19",
    what: "half of the voters are taken for a majority when commits are counted",
    expect: ["I7"],
    edits: [{
      file: "rules/Quorum.ts",
      from: "  return indexes[majority(voters.length) - 1]!",
      to: "  return indexes[Math.max(0, Math.ceil(voters.length / 2) - 1)]!"
    }]
  },
  {
    id: "commits-by-old-voters",
    bug: "B18",
    what: "a change of the voters is committed by the old ones alone",
    expect: ["I7"],
    edits: [{
      file: "roles/Leader.ts",
      from: "      { membership: node.membership, match: this.replication.match",
      to: "      { membership: node.memberships.lastCommitted.members.length > 0\n" +
        "          ? node.memberships.lastCommitted\n          : node.membership, match: this.replication.match"
    }]
  },
  {
    id: "stale-append-truncates",
    bug: "B20",
    what: "an append that ends early cuts off what follows it",
    expect: ["I9", "I6", "I11", "end of a node"],
    edits: [{
      file: "roles/Follower.ts",
      from: "    if (match.truncate) node.truncateFrom(entries[match.skip]!.index)\n",
      to: "    if (match.truncate) node.truncateFrom(entries[match.skip]!.index)\n" +
        "    else if (match.end < node.log.last && match.end >= node.commit) {\n" +
        "      node.truncateFrom((match.end + 1) as LogIndex)\n    }\n"
    }]
  },
  {
    id: "acknowledges-own-last",
    bug: "B22",
    what: "a follower acknowledges the end of its own log instead of what it compared",
    expect: ["I11", "I7"],
    edits: [{
      file: "roles/Follower.ts",
      from: "    if (match.end > this.matched) this.matched = match.end",
      to: "    if (match.end > this.matched) this.matched = node.log.last"
    }]
  },
  {
    id: "acknowledges-before-disk",
    bug: "B23, B33",
    what: "a follower acknowledges what its disk does not hold yet",
    expect: ["I11"],
    edits: [{
      file: "roles/Follower.ts",
      from: "    const durable = Math.min(this.matched, node.durable.index) as LogIndex",
      to: "    const durable = this.matched"
    }]
  },
  {
    id: "old-term-acknowledgement",
    bug: "B24",
    what: "a leader takes acknowledgements of an earlier term",
    expect: { test: "test/simulation/Replication.test.ts" },
    note:
      "I7, I9 or I8 was expected first. To do harm, an acknowledgement has to be on its way for as long as it takes its " +
      "receiver to lose and win leadership, and to name entries that its sender has lost meanwhile; and a leader takes " +
      "no answer to a round of contact that it has not begun, which keeps out most of what an earlier leadership was " +
      "told. Storms do not come to it; a played scenario does (R08).",
    edits: [{
      file: "roles/Leader.ts",
      from: "        if (message.term !== node.term) return\n        if (findMember",
      to: "        if (findMember"
    }]
  },
  {
    id: "durable-beyond-truncation",
    bug: "B24, B31",
    what: "what a truncation removes still counts as durable",
    expect: ["I11"],
    edits: [{
      file: "state/Durability.ts",
      from: "    if (this.durable.index >= index) this.durable = { ...this.durable, index: (index - 1) as LogIndex }\n",
      to: ""
    }]
  },
  {
    id: "late-completion",
    bug: "B31",
    what: "a write that ended before a truncation makes durable what the truncation replaces",
    expect: ["I11", "I7"],
    edits: [{
      file: "state/Durability.ts",
      from: "    this.truncations.push({ number: this.submitted + 1, from: index })\n",
      to: ""
    }, {
      file: "state/Durability.ts",
      from:
        "      if (durable > index && (durable < message.last.index || termAt(durable) === message.last.term)) index = durable",
      to: "      if (durable > index) index = durable"
    }]
  },
  {
    id: "late-rejection",
    bug: "B25",
    what: "a late rejection takes the next index back behind what is acknowledged",
    expect: ["I9", "I8"],
    edits: [{
      file: "rules/Progress.ts",
      from: '    if (rejected <= this.match || this.state === "Snapshot") return false\n',
      to: '    if (this.state === "Snapshot") return false\n'
    }, {
      file: "rules/Progress.ts",
      from: "    this.probe(Math.max(this.match + 1, Math.min(rejected, agreed.index + 1)) as LogIndex)",
      to: "    this.probe(Math.min(rejected, agreed.index + 1) as LogIndex)"
    }]
  },
  {
    id: "match-falls",
    bug: "B25",
    what: "a late acknowledgement takes back what was acknowledged since",
    expect: ["I8"],
    edits: [{
      file: "rules/Progress.ts",
      from: "    const news = index > this.match",
      to: "    const news = index !== this.match"
    }]
  },
  {
    id: "hint-ignored",
    bug: "B26",
    what: "after a rejection the leader tries the same place again",
    expect: ["I30", "I29"],
    edits: [{
      file: "rules/Progress.ts",
      from: "    this.probe(Math.max(this.match + 1, Math.min(rejected, agreed.index + 1)) as LogIndex)",
      to: "    this.probe(Math.max(this.match + 1, rejected + 1, agreed.index < 0 ? 0 : 0) as LogIndex)"
    }]
  },
  {
    id: "entries-read-too-late",
    bug: "B27",
    what: "entries read back for a follower are sent although it needs others by now",
    expect: ["I9", "I3", "R12", "I11", "end of a node"],
    edits: [{
      file: "roles/Replication.ts",
      from: "    if (first?.index !== progress.next || !this.holds(entries)) return\n",
      to: "    if (first === undefined || !this.holds(entries)) return\n"
    }]
  },
  {
    id: "uncommitted-bytes-leak",
    bug: "B29",
    what: "bytes of entries that an earlier leader began with are never given back",
    expect: ["I28", "I30"],
    edits: [{
      file: "roles/Leader.ts",
      from: "    for (let i = Math.max(committed + 1, this.firstIndex); i <= index; i++) {",
      to: "    for (let i = Math.max(committed + 2, this.firstIndex); i <= index; i++) {"
    }]
  },
  {
    id: "window-not-reset",
    bug: "B30",
    what: "bytes on their way to a follower are still counted after a restart of its stream",
    expect: ["I30", "I29"],
    edits: [{
      file: "rules/Progress.ts",
      from: "    this.inflight = []\n    this.inflightBytes = 0\n  }",
      to: "    this.inflight = []\n  }"
    }]
  },
  {
    id: "counts-own-memory",
    bug: "B32",
    what: "a leader counts entries that its own disk does not hold yet",
    expect: ["I7"],
    edits: [{
      file: "roles/Replication.ts",
      from: "    id === this.node.id ? this.node.durable.index : this.matchOf",
      to: "    id === this.node.id ? this.node.log.last : this.matchOf"
    }]
  },
  {
    id: "keeps-conflicts",
    bug: "B34",
    what: "a follower keeps its own entry where the leader has another",
    expect: ["I11", "I3", "I5", "I6"],
    edits: [{
      file: "rules/LogMatching.ts",
      from: "    if (log.terms.termAt(entry.index) !== entry.term) return accepted(previous, entries, skip, true)\n",
      to: ""
    }]
  },
  {
    id: "skips-previous-term",
    bug: "paper §5.3",
    what: "the consistency check looks at the length of the log only",
    expect: ["I3", "I11"],
    edits: [{
      file: "rules/LogMatching.ts",
      from: "  if (previous.index > log.last || known !== previous.term) {",
      to: "  if (previous.index > log.last || known === undefined) {"
    }]
  },
  {
    id: "commits-beyond-match",
    bug: "paper figure 2",
    what: "a follower commits up to the leader's index, also what it has not compared",
    expect: ["I6", "I5"],
    edits: [{
      file: "roles/Follower.ts",
      from: "    node.commitTo(Math.min(request.committed, match.end) as LogIndex)",
      to: "    node.commitTo(request.committed)"
    }]
  },
  {
    id: "merged-writes-keep-tail",
    bug: "B21",
    what: "log writes that wait together keep entries that a later one replaces",
    expect: ["R12", "I3", "I11", "end of a node"],
    edits: [{
      file: "state/WriteBuffer.ts",
      from: "      else if (keep < this.entries.length) this.entries.length = keep\n",
      to: ""
    }]
  },
  {
    id: "waits-for-everybody",
    bug: "own",
    what: "what is committed is what all voters hold, so a slow one slows all",
    expect: ["I32", "I30"],
    edits: [{
      file: "rules/Quorum.ts",
      from: "  return indexes[majority(voters.length) - 1]!",
      to: "  return indexes[Math.max(majority(voters.length), voters.length) - 1]!"
    }]
  },
  {
    id: "heartbeats-hide-commits",
    bug: "paper §5.3",
    what: "a heartbeat does not carry the commit index, so idle followers stay behind",
    expect: ["I34", "I30"],
    edits: [{
      file: "roles/Replication.ts",
      from: "committed: commit, round, entries }",
      to: "committed: entries.length > 0 ? commit : (0 as LogIndex), round, entries }"
    }]
  }
]
