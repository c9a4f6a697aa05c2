/** Loaded before a node's program that runs from its sources: the state is checkpointed once a minute and no sooner. */
import { defaultSettings } from "@distkv/core"
import { Duration } from "effect"

Object.assign(defaultSettings, { checkpointInterval: Duration.minutes(1), checkpointBytes: 2 ** 30 })
