// Mutants of membership, recovery, reads, and what callers are told.

/** @type {ReadonlyArray<import("./index.mjs").Mutant>} */
export const service = [
  {
    id: "changes-unsettled",
    bug: "B36",
    what: "a leader changes the membership before it has committed an entry of its own term",
    expect: ["I14"],
    edits: [{
      file: "roles/Leader.ts",
      from: "    return this.isSettled && !this.handover.isUnderWay\n",
      to: "    return !this.handover.isUnderWay\n"
    }]
  },
  {
    id: "configuration-not-rolled-back",
    bug: "B37",
    what: "a membership stays in force although its entry was truncated",
    expect: ["I14"],
    edits: [{
      file: "state/MembershipLog.ts",
      from: "    while (this.appended.length > 0 && this.appended.at(-1)!.index >= index) this.appended.pop()\n",
      to: ""
    }]
  },
  {
    id: "configuration-lost-in-restart",
    bug: "B38, B40",
    what: "a restarted node knows the membership of its checkpoint only",
    expect: ["I14"],
    edits: [{
      file: "node/Recovery.ts",
      from: '        if (command._tag === "Configure") memberships.append(entry.index, command.membership)\n',
      to: ""
    }]
  },
  {
    id: "changes-overlap",
    bug: "B39, B42",
    what: "a change of the membership begins while another is not committed",
    expect: ["I14"],
    edits: [{
      file: "state/MembershipLog.ts",
      from: "    return this.appended.length > 0\n",
      to: "    return this.appended.length > 8\n"
    }, {
      file: "roles/Changes.ts",
      from: "    if (this.underWay === null) this.bindNext()",
      to: "    this.underWay = null\n    this.bindNext()"
    }]
  },
  {
    id: "old-incarnation-heard",
    bug: "B41",
    what: "who speaks with a member's name from another directory is heard",
    expect: ["I33"],
    edits: [{
      file: "roles/Conversation.ts",
      from:
        "    return member.publicKey === publicKey && (member.incarnation === null || member.incarnation === incarnation)",
      to: '    return member.publicKey === publicKey && (member.incarnation === null || incarnation !== "")'
    }, {
      file: "domain/PeerDirectory.ts",
      from: "  return known.incarnation === null || known.incarnation === peer.incarnation ? member : guest",
      to: "  return member"
    }]
  },
  {
    id: "joining-counts",
    bug: "B18",
    what: "a member that has not caught up counts in quorums",
    expect: ["I13", "I7", "I14"],
    edits: [{
      file: "domain/Membership.ts",
      from: 'member.standing === "voter"',
      to: 'member.standing !== "learner"'
    }]
  },
  {
    id: "checkpoint-position-apart",
    bug: "B57",
    what: "a checkpoint's position is one entry behind its rows, so a restart applies one twice",
    expect: ["I5", "I25"],
    edits: [{
      file: "state/StateMachine.ts",
      from: "        applied: this.position,\n        membership",
      to: "        applied: { ...this.position, index: (this.position.index - 1) as LogIndex },\n        membership"
    }]
  },
  {
    id: "checkpoint-before-log",
    bug: "B57, B32",
    what: "a checkpoint is written before the node's own log holds what is in it",
    expect: ["I8"],
    edits: [{
      file: "node/Checkpointer.ts",
      from: "    while (!follows(index)) yield* pause\n",
      to: ""
    }]
  },
  {
    id: "forgets-applied",
    bug: "B58",
    what: "a restarted node takes nothing for committed, although its state holds applied entries",
    expect: ["I9", "I8"],
    edits: [{
      file: "roles/NodeState.ts",
      from: "    this.commit = parts.machine.applied\n",
      to: "    this.commit = 0 as LogIndex\n"
    }]
  },
  {
    id: "reads-after-compaction",
    bug: "B52, own",
    what: "entries read back for a follower are sent although the log was compacted beyond them meanwhile",
    expect: { test: "test/roles/Compacting.test.ts" },
    note:
      "It takes the place of one that applied what was read back without looking whether the log had replaced it: " +
      "entries leave the window only when they are applied and on the disk, so that look is a second defence, and " +
      "without it nothing happens that anybody could notice. I9, I3, I11 or the end of a node was expected, and none came " +
      "within 60 storms.",
    edits: [{
      file: "roles/Replication.ts",
      from: "    if (first?.index !== progress.next || !this.holds(entries)) return\n",
      to: "    if (first?.index !== progress.next) return\n"
    }]
  },
  {
    id: "frozen-overlay-ignored",
    bug: "B57",
    what: "commands do not see what the checkpoint under way is about to write",
    expect: ["I5", "I18", "I25"],
    edits: [{
      file: "state/Overlay.ts",
      from: "    this.active = new Layer(number + 1)\n",
      to: "    this.active = new Layer(number + 1)\n    this.rows.clear()\n"
    }]
  },
  {
    id: "range-ignores-frozen",
    bug: "B57",
    what: "ranges do not see what the checkpoint under way is about to write",
    expect: ["I5", "I18", "I25"],
    edits: [{
      file: "state/Overlay.ts",
      from: "this.frozen === null ? [this.active] : [this.active, this.frozen]",
      to: "[this.active]"
    }]
  },
  {
    id: "leader-reads-at-once",
    bug: "B59",
    what: "a leader answers reads without asking whether it still leads",
    expect: ["I18"],
    edits: [{
      file: "roles/LeaderReads.ts",
      from: "    if (read.local) this.node.reads.wait(read)\n    else this.queue.add(read)",
      to: "    if (read.local) this.node.reads.wait(read)\n    else this.node.reads.confirm(read, this.node.commit)"
    }]
  },
  {
    id: "reads-before-own-commit",
    bug: "B60",
    what: "a new leader serves reads before it has committed an entry of its own term",
    expect: ["I18"],
    edits: [{
      file: "roles/Leader.ts",
      from: "    if (this.isSettled) this.reads.begin()",
      to: "    this.reads.begin()"
    }]
  },
  {
    id: "earlier-round-confirms",
    bug: "B61",
    what: "an answer to a round that was begun before the read confirms it",
    expect: ["I18"],
    edits: [{
      file: "roles/Replication.ts",
      from: "(this.progress.get(id)?.round ?? -1) >= round",
      to: "(this.progress.get(id)?.round ?? -1) >= round - 2"
    }]
  },
  {
    id: "minority-confirms-reads",
    bug: "B19",
    what: "a read needs no answer of anybody who was in contact lately",
    expect: ["I18"],
    edits: [{
      file: "roles/LeaderReads.ts",
      from: "(id) => replication.answered(id, round))) return",
      to: "(id) => replication.answered(id, round) || replication.isLive(id, 20_000))) return"
    }]
  },
  {
    id: "late-answer-confirms",
    bug: "B61",
    what: "a late answer to an abandoned question confirms the reads of the next one",
    expect: ["I18"],
    edits: [{
      file: "state/PendingReads.ts",
      from: "    if (this.asked === null || this.asked.id !== id) return",
      to: "    if (this.asked === null) return"
    }]
  },
  {
    id: "reads-before-applied",
    bug: "B62",
    what: "a confirmed read is answered before the state has reached its index",
    expect: ["I18"],
    edits: [{
      file: "state/PendingReads.ts",
      from: "        if (read.readIndex! <= applied) this.look",
      to: "        if (read.readIndex! <= applied + 1_000) this.look"
    }]
  },
  {
    id: "forwarded-twice",
    bug: "B67",
    what: "a repeated copy of a forwarded write is logged again",
    expect: ["I16"],
    edits: [{
      file: "roles/ForwardFilter.ts",
      from: "    if (seen[place]! >= id + 1) return false\n",
      to: ""
    }]
  },
  {
    id: "forgets-leadership",
    bug: "B67, B35",
    what: "a restarted node calls a forwarded write refused, although it may have logged it before",
    expect: { test: "test/roles/Forwarding.test.ts" },
    note:
      "I16 or I27 was expected, and 200 storms did not name it. The sender learns the wrong thing only where a copy of " +
      "its request reaches the former leader after that one has died and started again, and before the sender itself has " +
      "taken the loss of its leader for a reason to ask anew: within one election time-out. And it tells its caller so " +
      "only where no leader takes the write again until the deadline, since what is taken again is executed once, by its " +
      "number. A test of the role plays the copy.",
    edits: [{
      file: "roles/Forwarding.ts",
      from: "  const result = request.leaderTerm <= node.bootTerm ?",
      to: "  const result = request.leaderTerm < 0 ?"
    }]
  },
  {
    id: "other-term-answers",
    bug: "B68, B35",
    what: "a deposed leader answers a write with what its successor put in the same place",
    expect: ["I15", "I18", "I16"],
    edits: [{
      file: "state/PendingWrites.ts",
      from: "        if (write.term === term) this.finish",
      to: "        if (write.term <= term) this.finish"
    }]
  },
  {
    id: "time-out-means-no",
    bug: "B68",
    what: "a write whose time ran out while it was under way is called not done",
    expect: ["I27"],
    edits: [{
      file: "state/PendingWrites.ts",
      from: '        return unknown(write, "the deadline passed while the write was under way")',
      to: '        return failed(new DeadlineExceeded({ message: "the deadline passed" }))'
    }]
  },
  {
    id: "answers-before-own-apply",
    bug: "CS01",
    what: "the caller of a forwarded write is answered before its own node has applied it",
    expect: ["I20"],
    edits: [{
      file: "state/PendingWrites.ts",
      from: "    if (write.origin !== null || index <= applied) return",
      to: "    if (write.origin !== null || index <= applied + 1_000) return"
    }]
  },
  {
    id: "hung-disk-leads-on",
    bug: "B69",
    what: "a leader whose disk hangs keeps its followers from electing another",
    expect: { test: "test/simulation/Storage.test.ts" },
    edits: [{
      file: "roles/Leader.ts",
      from: "    return replication.progress.size > 0 && node.diskIsStuckFor(1.5 * node.parts.electionTimeout)",
      to: "    return replication.progress.size < 0 && node.diskIsStuckFor(1.5 * node.parts.electionTimeout)"
    }]
  },
  {
    id: "retries-failed-write",
    bug: "B71",
    what: "a failed log write is tried again",
    expect: ["D01"],
    edits: [{
      file: "node/Committer.ts",
      from: "      yield* Effect.uninterruptible(store.write(write))",
      to: "      yield* Effect.uninterruptible(Effect.catch(store.write(write), () => store.write(write)))"
    }]
  },
  {
    id: "remembers-what-has-changed",
    bug: "own",
    what: "a key that was read often is shown as it was then, also when it has changed since",
    expect: ["I18", "I20"],
    note: "The first to notice is I5: a write also tells the value before it, which is read the same way.",
    edits: [{
      file: "state/Overlay.ts",
      from: "      this.valueBytes -= weightOf(row.entry)\n      row.entry = null\n",
      to: "      this.valueBytes -= 0\n"
    }]
  }
]
