/**
 * The parts a node plays (paper §5.1, figure 4).
 *
 * - Follower: accepts the log of one leader per term, grants votes, and campaigns when it hears of no leader for an
 *   election time-out. A learner is a follower that does not campaign.
 * - Candidate: asks for pre-votes, then votes; becomes leader, or follower of whoever does.
 * - Leader: the only one in its term to add entries; ends when it sees a higher term, or no quorum for a time-out.
 */
export type Role = "Follower" | "Candidate" | "Leader"
