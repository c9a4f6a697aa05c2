// Mutants of elections, terms and votes.

/** @type {ReadonlyArray<import("./index.mjs").Mutant>} */
export const elections = [
  {
    id: "vote-not-saved",
    bug: "B01",
    what: "the term is saved without the vote",
    expect: ["I11", "I10", "I30"],
    edits: [{
      file: "roles/NodeState.ts",
      from: "this.disk.setHardState({ term: this.term, votedFor: this.votedFor })",
      to: "this.disk.setHardState({ term: this.term, votedFor: null })"
    }]
  },
  {
    id: "leads-on-in-new-term",
    bug: "B02, B03",
    what: "a leader that hears of a higher term goes on leading, in that term",
    expect: ["I1", "I11", "I13"],
    edits: [{
      file: "roles/Leader.ts",
      from: '      node.raiseTerm(term)\n      return node.become("Follower", true)',
      to: "      node.raiseTerm(term)\n      node.setLeader(node.id)"
    }]
  },
  {
    id: "vote-forgotten-with-leader",
    bug: "B04, B09",
    what: "whoever loses its leader forgets its vote in the same term",
    expect: ["I10"],
    edits: [{
      file: "roles/NodeState.ts",
      from: "    this.leader = leader\n  }",
      to: "    this.leader = leader\n    if (leader === null) this.votedFor = null\n  }"
    }]
  },
  {
    id: "pre-vote-clears-vote",
    bug: "B05",
    what: "granting a pre-vote forgets the vote that was given",
    expect: ["I10"],
    edits: [{
      file: "roles/Conversation.ts",
      from: "  if (granted && request.preVote) {\n",
      to: "  if (granted && request.preVote) {\n    node.votedFor = null\n"
    }]
  },
  {
    id: "pre-vote-counts",
    bug: "B06",
    what: "a late answer to a request for a pre-vote counts as a vote",
    expect: ["I13", "I1"],
    edits: [{
      file: "roles/Candidate.ts",
      from: '    if (reply.preVote !== (this.phase === "PreVote")) return\n',
      to: ""
    }]
  },
  {
    id: "pre-vote-hides-term",
    bug: "B07",
    what: "a refused pre-vote does not tell the candidate of the higher term",
    expect: { test: "test/roles/Voting.test.ts" },
    edits: [{
      file: "roles/Conversation.ts",
      from: "return message.term > node.term && !(message.preVote && message.granted) ? message.term : null",
      to: "return message.term > node.term && !message.preVote ? message.term : null"
    }]
  },
  {
    id: "longer-log-wins",
    bug: "B08",
    what: "the longer log is taken for the newer one, whatever its last term",
    expect: ["I4", "I6"],
    edits: [{
      file: "rules/Election.ts",
      from: "  candidate.term > own.term || (candidate.term === own.term && candidate.index >= own.index)",
      to: "  candidate.index >= own.index"
    }]
  },
  {
    id: "both-term-and-length",
    bug: "B08",
    what: "a candidate needs both the newer last term and the longer log, so nobody may win",
    expect: { test: "test/rules/Election.test.ts" },
    note:
      "I30 or I29 was expected first. Nobody can win only where the newest log is shorter than another one, and where " +
      "no third node makes up the quorum; once the faults of a storm have ended all voters are there, and the longer " +
      "log of an older term wins votes enough among those whose term it has, or the newer one does. The rule's own test " +
      "holds every pair of logs against the paper.",
    edits: [{
      file: "rules/Election.ts",
      from: "  candidate.term > own.term || (candidate.term === own.term && candidate.index >= own.index)",
      to: "  candidate.term >= own.term && candidate.index >= own.index"
    }]
  },
  {
    id: "everybody-is-up-to-date",
    bug: "B10",
    what: "votes do not ask for the candidate's log",
    expect: ["I4", "I6"],
    edits: [{
      file: "rules/Election.ts",
      from: "  candidate.term > own.term || (candidate.term === own.term && candidate.index >= own.index)",
      to: "  candidate.term > own.term || candidate.term <= own.term"
    }]
  },
  {
    id: "term-restarts",
    bug: "B10",
    what: "a restarted node begins at term 0",
    expect: ["I8", "I10", "I11"],
    edits: [{
      file: "roles/NodeState.ts",
      from: "    this.term = parts.hardState.term\n",
      to: "    this.term = 0 as Term\n"
    }]
  },
  {
    id: "campaigns-before-disk",
    bug: "B11, B13",
    what: "a candidate asks for votes before its own vote and log are on disk",
    expect: ["I11"],
    edits: [{
      file: "roles/Candidate.ts",
      from: "    node.whenDurable(ask)\n",
      to: "    ask()\n"
    }]
  },
  {
    id: "votes-before-disk",
    bug: "B33",
    what: "a voter says its vote before the vote is on disk",
    expect: ["I11"],
    edits: [{
      file: "roles/Conversation.ts",
      from: "  const { term } = node\n  node.whenDurable(() => {\n",
      to: "  const { term } = node\n  ;((send: () => void) => send())(() => {\n"
    }]
  },
  {
    id: "lockstep",
    bug: "B14",
    what: "all election time-outs are equal",
    expect: { test: "test/scripts/Scripts.test.ts" },
    note:
      "I30 was expected first. In a storm no two clocks, disks and links are alike, and so the nodes do not stay in step " +
      "although their time-outs are: somebody is first within ten of them. The script of B14 plays them in a world where " +
      "everything takes the same time.",
    edits: [{
      file: "roles/NodeState.ts",
      from: "return this.parts.electionTimeout * (1 + this.parts.random())",
      to: "return this.parts.electionTimeout"
    }]
  },
  {
    id: "no-pre-vote",
    bug: "B75",
    what: "a node that was cut off campaigns without asking first, and deposes the leader when it comes back",
    expect: { test: "test/simulation/Partitions.test.ts" },
    edits: [{
      file: "roles/Candidate.ts",
      from: "    else this.preCampaign()",
      to: "    else this.campaign()"
    }]
  },
  {
    id: "no-stickiness",
    bug: "B75",
    what: "who hears its leader votes for another all the same",
    expect: { test: "test/rules/Election.test.ts" },
    edits: [{
      file: "rules/Election.ts",
      from: '  if (voter.hasFreshLeader && !ballot.transfer) return ballot.preVote ? "refuse" : "ignore"\n',
      to: ""
    }]
  },
  {
    id: "no-check-quorum",
    bug: "B75",
    what: "a leader that hears of nobody leads on",
    expect: { test: "test/simulation/Partitions.test.ts" },
    edits: [{
      file: "roles/Leader.ts",
      from: "    return this.node.now >= this.graceUntil &&\n",
      to: "    return this.node.now < 0 && this.node.now >= this.graceUntil &&\n"
    }]
  },
  {
    id: "heartbeats-do-not-count",
    bug: "own",
    what: "only appends with entries are signs of life, so an idle leader is deposed",
    expect: ["I31", "I30"],
    edits: [{
      file: "roles/Follower.ts",
      from: "    if (request.round >= this.round) {\n",
      to: "    if (request.round >= this.round && request.entries.length > 0) {\n"
    }]
  },
  {
    id: "refused-votes-on",
    bug: "B43, own",
    what: "who was removed, or rolled back, goes on voting",
    expect: { test: "test/simulation/Departures.test.ts" },
    note:
      "D09 was expected, and did not name it within 60 storms: few of them put a disk back and ask for its vote later. It is two edits since a vote is looked at once more when it has become durable: either look is enough.",
    edits: [{
      file: "roles/Follower.ts",
      from: "    if (node.belonging.refused !== null && isForMembers(message)) return\n",
      to: ""
    }, {
      file: "roles/Conversation.ts",
      from: "    if (granted && node.belonging.refused !== null) return\n",
      to: ""
    }]
  }
]
