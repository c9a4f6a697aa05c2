/** A cluster of real nodes, started as users start them, and the clients beside each. */
import type { SettingsInput } from "@distkv/core"
import { Keys } from "@distkv/transport-ssh"
import { Effect } from "effect"
import { type ChildProcess, execFileSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { makeNamespaces } from "./Namespaces.ts"
import type { Network, NetworkKind } from "./Network.ts"
import { end, isAlive, pidOf, start } from "./Processes.ts"
import type { Call, FromClients, ToClients, Workload } from "./Protocol.ts"
import { makeProxies } from "./Proxies.ts"
import { until } from "./Waiting.ts"

const program = fileURLToPath(new URL("../packages/server/bin/distkv.mjs", import.meta.url))
const programWithSettings = fileURLToPath(new URL("node.ts", import.meta.url))
const bundler = fileURLToPath(new URL("../scripts/bundle.mjs", import.meta.url))
const clientsFile = fileURLToPath(new URL("clients.ts", import.meta.url))

export interface ClusterOptions {
  readonly directory: string
  readonly nodes: number
  readonly network: NetworkKind
  readonly electionTimeoutMs: number
  readonly heartbeatMs: number
  /** Flags that every start of a node has beside the usual ones. */
  readonly flags?: ReadonlyArray<string> | undefined
  /** Settings that the program has no flags for; without them it is the program as users run it. */
  readonly settings?: SettingsInput | undefined
}

export interface MemberJson {
  readonly id: string
  readonly voter: boolean
  readonly healthy: boolean | null
  readonly lag: number | null
}

export interface StatusJson {
  readonly nodeId: string
  readonly role: string
  readonly term: string
  readonly leader: string | null
  readonly members: ReadonlyArray<MemberJson>
}

export interface Told {
  readonly status: number
  readonly body: string
}

/** One node: its directory, its process if it runs, and the process of its clients. */
export class ChaosNode {
  readonly index: number
  readonly id: string
  readonly directory: string
  readonly log: string
  process: ChildProcess | null = null
  stopped = false
  private readonly clients: ChildProcess
  private readonly questions = new Map<number, (told: Told) => void>()
  private nextQuestion = 1

  constructor(index: number, folder: string, clients: ChildProcess, calls: (calls: ReadonlyArray<Call>) => void) {
    this.index = index
    this.id = `n${index + 1}`
    this.directory = join(folder, this.id)
    this.log = join(folder, `${this.id}.log`)
    this.clients = clients
    clients.on("message", (message: FromClients) => {
      if (message._tag === "Calls") calls(message.calls)
      if (message._tag === "Told") {
        this.questions.get(message.id)?.(message)
        this.questions.delete(message.id)
      }
    })
  }

  get alive(): boolean {
    return this.process !== null && isAlive(this.process)
  }

  /** It runs, and is not stopped. */
  get serves(): boolean {
    return this.alive && !this.stopped
  }

  tell(message: ToClients): void {
    if (this.clients.connected) this.clients.send(message)
  }

  ask(method: string, path: string, body?: string): Promise<Told> {
    const id = this.nextQuestion++
    return new Promise((resolve) => {
      this.questions.set(id, resolve)
      this.tell({ _tag: "Ask", id, method, path, ...(body === undefined ? {} : { body }) })
    })
  }

  async status(): Promise<StatusJson | undefined> {
    const { body, status } = await this.ask("GET", "/v1/cluster?timeout=1s")
    return status === 200 ? JSON.parse(body) as StatusJson : undefined
  }

  /** Resumes once the clients have their last answers. */
  async rest(): Promise<void> {
    await this.told("Rested", { _tag: "Rest" })
  }

  /** Writes so many values of so many bytes by the clients of this node, as fast as they are taken. */
  async fill(keys: number, bytes: number): Promise<number> {
    return (await this.told("Filled", { _tag: "Fill", keys, bytes })).again
  }

  /** Tells the clients something that they will answer with a message of this tag. */
  private told<T extends FromClients["_tag"]>(
    tag: T,
    message: ToClients
  ): Promise<Extract<FromClients, { readonly _tag: T }>> {
    return new Promise((resolve) => {
      const heard = (answer: FromClients): void => {
        if (answer._tag !== tag) return
        this.clients.off("message", heard)
        resolve(answer as Extract<FromClients, { readonly _tag: T }>)
      }
      this.clients.on("message", heard)
      this.tell(message)
    })
  }

  signal(signal: NodeJS.Signals): void {
    if (this.process === null) return
    if (signal === "SIGSTOP") this.stopped = true
    if (signal === "SIGCONT") this.stopped = false
    this.process.kill(signal)
  }

  async kill(): Promise<void> {
    this.stopped = false
    if (this.process !== null) await end(this.process, "SIGKILL")
    this.tell({ _tag: "At", http: null })
  }
}

export class Cluster {
  readonly nodes: Array<ChaosNode> = []
  readonly network: Network
  readonly calls: Array<Call> = []
  private readonly options: ClusterOptions
  private readonly listeners = new Set<(call: Call) => void>()

  private constructor(options: ClusterOptions, network: Network) {
    this.options = options
    this.network = network
  }

  /** Builds the program, makes the network and the keys, and starts all nodes; all of them vote when this is done. */
  static async start(options: ClusterOptions): Promise<Cluster> {
    execFileSync(process.execPath, [bundler], { stdio: "inherit" })
    const network =
      await (options.network === "namespaces" ? makeNamespaces(options.nodes) : makeProxies(options.nodes))
    const cluster = new Cluster(options, network)
    const note = (calls: ReadonlyArray<Call>): void => {
      for (const call of calls) {
        cluster.calls.push(call)
        for (const listener of cluster.listeners) listener(call)
      }
    }
    for (let index = 0; index < options.nodes; index++) {
      const command = network.at(index, [process.execPath, clientsFile, String(index)])
      const clients = start(command, join(options.directory, `clients-${index + 1}.log`))
      cluster.nodes.push(new ChaosNode(index, options.directory, clients, note))
    }
    for (const { directory } of cluster.nodes) mkdirSync(directory, { recursive: true })
    await exchangeKeys(cluster.nodes.map(({ directory }) => directory))
    for (const node of cluster.nodes) await cluster.launch(node)
    await cluster.allVote(60_000)
    return cluster
  }

  /** Starts a node, and answers when it listens; a first start founds the cluster or joins it. */
  async launch(node: ChaosNode, more: ReadonlyArray<string> = []): Promise<void> {
    const readyFile = `${node.directory}.ready.json`
    rmSync(readyFile, { force: true })
    const child = this.spawn(node, readyFile, more)
    const ready = await until(`${node.id} listens (see ${node.log})`, 60_000, () => {
      if (!isAlive(child)) throw new Error(`${node.id} ended with ${child.exitCode ?? child.signalCode}`)
      return existsSync(readyFile) ? JSON.parse(readFileSync(readyFile, "utf8")) as { http: string } : undefined
    })
    node.tell({ _tag: "At", http: ready.http })
  }

  /** Starts a node and does not wait for anything. */
  spawn(node: ChaosNode, readyFile: string, more: ReadonlyArray<string> = []): ChildProcess {
    const { electionTimeoutMs, flags = [], heartbeatMs, settings } = this.options
    const isNew = !existsSync(join(node.directory, "identity.json"))
    const entrance = !isNew ? [] : node.index === 0 ? ["--bootstrap"] : ["--join", this.raftOf(0)]
    const command = this.network.at(node.index, [
      process.execPath,
      ...(settings === undefined ? [program] : [programWithSettings, JSON.stringify(settings)]),
      "start",
      ...["--data-dir", node.directory, "--node-id", node.id, "--ready-file", readyFile],
      ...[...this.network.raftFlags(node.index), "--http", "127.0.0.1:0", "--log-level", "info"],
      ...["--election-timeout", `${electionTimeoutMs}ms`, "--heartbeat", `${heartbeatMs}ms`],
      ...[...entrance, ...flags, ...more]
    ])
    const child = start(command, node.log, { NODE_COMPILE_CACHE: join(this.options.directory, "compiled") })
    node.process = child
    node.stopped = false
    this.network.started(node.index, pidOf(child))
    return child
  }

  private raftOf(index: number): string {
    const flags = this.network.raftFlags(index)
    return flags[flags.length - 1] ?? ""
  }

  /** Calls `listener` with every call from now on, until the function returned is called. */
  listen(listener: (call: Call) => void): () => void {
    this.listeners.add(listener)
    return () => void this.listeners.delete(listener)
  }

  load(workload: Workload): void {
    for (const node of this.nodes) node.tell({ _tag: "Load", workload })
  }

  async rest(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.rest()))
  }

  /** The node that leads, by its own word and in the highest term; undefined while none says so. */
  async leader(): Promise<{ readonly node: ChaosNode; readonly term: number } | undefined> {
    const views = await Promise.all(
      this.nodes.filter((node) => node.serves).map(async (node) => ({ node, view: await node.status() }))
    )
    let found: { readonly node: ChaosNode; readonly term: number } | undefined
    for (const { node, view } of views) {
      if (view?.role !== "leader" || view.leader !== node.id) continue
      const term = Number(view.term)
      if (found === undefined || term > found.term) found = { node, term }
    }
    return found
  }

  someLeader(limitMs: number): Promise<{ readonly node: ChaosNode; readonly term: number }> {
    return until("some node leads", limitMs, () => this.leader(), 10)
  }

  /** Waits until every node is a voter of which its leader hears. */
  async allVote(limitMs: number): Promise<void> {
    await until(`${this.nodes.length} voters`, limitMs, async () => {
      const leader = await this.leader()
      const view = await leader?.node.status()
      const well = view?.members.filter((member) => member.voter && member.healthy !== false) ?? []
      return well.length === this.nodes.length ? true : undefined
    })
  }

  /** Waits until every node that serves has a connection with every other. */
  async meshed(limitMs: number): Promise<void> {
    await until("every node is connected with every other", limitMs, async () => {
      const serving = this.nodes.filter((node) => node.serves)
      const pages = await Promise.all(serving.map((node) => node.ask("GET", "/metrics")))
      const isMeshed = pages.every(({ body }) =>
        [...body.matchAll(/^distkv_peer_connected\{.*\} 1$/gm)].length >= serving.length - 1
      )
      return isMeshed ? true : undefined
    })
  }
}

const exchangeKeys = async (directories: ReadonlyArray<string>): Promise<void> => {
  const lines = await Promise.all(
    directories.map((directory) => Effect.runPromise(Effect.map(Keys.init(directory), ({ key }) => key.line)))
  )
  for (const directory of directories) {
    for (const line of lines) await Effect.runPromise(Keys.authorize(directory, line))
  }
}
