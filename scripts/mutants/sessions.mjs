// Mutants of sessions, snapshots, and what is found after a crash.

/** @type {ReadonlyArray<import("./index.mjs").Mutant>} */
export const sessions = [
  {
    id: "copies-executed-again",
    bug: "B67",
    what: "a command that its session knows is executed again",
    expect: ["I17", "I16"],
    edits: [{ file: "rules/ExactlyOnce.ts", from: "  if (place < 0) return null\n", to: "  return null\n" }]
  },
  {
    id: "seals-forgotten",
    bug: "B67",
    what: "what was sealed may be executed later",
    expect: ["I17", "I27"],
    edits: [{
      file: "rules/ExactlyOnce.ts",
      from: "  sessions.add(session, sequence, status.sealed, 0, revision, 0)\n",
      to: ""
    }]
  },
  {
    id: "results-not-noted",
    bug: "B67",
    what: "a session forgets results once a number beyond the next sixteen is used",
    expect: ["I17", "I16"],
    edits: [{
      file: "rules/SessionWindow.ts",
      from: "      for (let i = 0; i < rowNumbers; i++) this.rows[target + i] = rows[place + i]!\n",
      to: "      for (let i = 0; i < 0; i++) this.rows[target + i] = rows[place + i]!\n"
    }]
  },
  {
    id: "sessions-not-loaded",
    bug: "B67, B40",
    what: "a state that begins with a checkpoint or a snapshot knows no sessions",
    expect: ["I17", "I5", "I25"],
    edits: [{
      file: "state/StateMachine.ts",
      from: "    const flaw = this.table.load(this.store.sessionsUnsafe())",
      to: "    const flaw = this.table.load([])"
    }]
  },
  {
    id: "followers-do-not-apply",
    bug: "B46",
    what: "what is committed is applied on the leader only, as far as it got while it led",
    expect: ["I18", "I20", "I25", "I29", "I30"],
    edits: [{
      file: "roles/NodeState.ts",
      from: "    if (this.readingForApply || this.machine.isReplacing) return\n",
      to: '    if (this.role !== "Leader" || this.readingForApply || this.machine.isReplacing) return\n'
    }]
  },
  {
    id: "log-stays-under-snapshot",
    bug: "B47, B50",
    what: "a log stays as it is under a snapshot whose last entry it has not",
    expect: ["I3", "I9", "I24", "end of a node"],
    edits: [{
      file: "roles/Compacting.ts",
      from: "  const keepsLog = log.termAt(applied.index) === applied.term\n",
      to: "  const keepsLog = log.termAt(applied.index) === applied.term || log.last > 0\n"
    }]
  },
  {
    id: "older-snapshot-taken",
    bug: "B48, B51",
    what: "a snapshot is installed whether the state and log hold it already or not",
    expect: ["I8", "I5", "end of a node"],
    edits: [{
      file: "roles/SnapshotReceiving.ts",
      from: "  last.index <= commit || log.termAt(last.index) === last.term",
      to: "  last.index < commit - 1_000_000 || log.termAt(last.index) === -1"
    }]
  },
  {
    id: "installs-late",
    bug: "B49",
    what: "a snapshot that was made readable takes the place of a state that has got further meanwhile",
    expect: { test: "test/scripts/Scripts.test.ts" },
    note:
      "It takes the place of one that applied entries while a snapshot was being installed, which nobody noticed within " +
      "150 storms: whoever sends a snapshot sends no entries beside it, so there is nothing to apply beyond it, and what " +
      "is applied below it vanishes with the state that it replaces. That look is a second defence. Of this one I8, I5 or " +
      "the end of a node was expected, and none came within 150 storms: a leader that still has the whole log has to take " +
      "over between a snapshot's last piece and its being readable. The script of B49 plays that.",
    edits: [{
      file: "roles/SnapshotReceiving.ts",
      from: '  if (node.role === "Leader" || holds(node, incoming.id)) return drop(node)\n',
      to: '  if (node.role === "Leader") return drop(node)\n'
    }]
  },
  {
    id: "stays-with-snapshots",
    bug: "B51",
    what: "a follower that has got its snapshot is not known to go on from there, whatever it acknowledges",
    expect: ["I30", "I29"],
    note:
      "It takes the place of one that only did not listen to a follower which says that it has its snapshot: the next " +
      "heartbeat's answer says the same, and nobody noticed within 150 storms.",
    edits: [{
      file: "roles/Replication.ts",
      from: "    if (done !== null && done <= this.node.log.last) this.progress.get(from)?.helped(done)\n",
      to: ""
    }, {
      file: "rules/Progress.ts",
      from: '    if (this.state === "Snapshot" && index < this.next - 1) return news\n',
      to: '    if (this.state === "Snapshot") return news\n'
    }]
  },
  {
    id: "built-once",
    bug: "B53",
    what: "a leader that has built a snapshot builds no other",
    expect: ["I30", "I29"],
    edits: [{
      file: "roles/SnapshotSending.ts",
      from: "      this.building = false\n      return\n",
      to: "      return\n"
    }]
  },
  {
    id: "failed-install-done",
    bug: "B54",
    what: "a snapshot whose install has failed is taken for the state",
    expect: { test: "test/scripts/Scripts.test.ts" },
    note:
      "I5, I25 or the end of a node was expected, and 150 storms did not name it: the disk would have to fail at the one " +
      "write among thousands that puts a snapshot in its place, and such a node ends soon after by its disk. The script of " +
      "B54 lets just that write fail.",
    edits: [{
      file: "node/SnapshotReceiver.ts",
      from: "const meta = yield* Effect.uninterruptible(current.install)",
      to: "const meta = yield* Effect.catch(Effect.uninterruptible(current.install), () => this.store.recover)"
    }]
  },
  {
    id: "half-made-readable",
    bug: "B55",
    what: "a state is made of the pieces that have come, whether they are all or not",
    expect: ["I30", "I29", "I25"],
    edits: [{
      file: "roles/SnapshotReceiving.ts",
      from: "      if (incoming.kept < incoming.id.bytes) return",
      to: "      if (incoming.kept < 1) return"
    }]
  },
  {
    id: "damaged-records-believed",
    bug: "B56, B72",
    what: "records are read back without their checksums being looked at",
    expect: ["I6", "I3", "I5", "I11", "end of a node"],
    note:
      "The first to notice is I9: a node whose log has rotted begins with another one than was written, and nobody had " +
      "appended what it ends with.",
    edits: [{
      file: "domain/RecordCodec.ts",
      from: '  if (getU32(record, 0) !== checksum(record)) return "the checksum is wrong"\n',
      to: ""
    }]
  },
  {
    id: "membership-not-in-snapshots",
    bug: "B40",
    what: "who got its state by a snapshot or a checkpoint puts no membership into the next one",
    expect: ["I14", "I5", "I24"],
    edits: [{ file: "state/StateMachine.ts", from: "    this.committedMembership = meta.membership\n", to: "" }]
  },
  {
    id: "base-entries-sent",
    bug: "B52",
    what: "a leader goes on with appends for a follower that needs what the log has dropped",
    expect: ["I30", "I29", "I3", "defect"],
    note: "The first to notice is the end of a node: the leader asks its own log for an entry that is gone, and ends.",
    edits: [{
      file: "roles/Replication.ts",
      from: '      if (progress.next <= base || progress.state === "Snapshot") progress.needSnapshot(base)\n',
      to: ""
    }]
  }
]
