defmodule Caravan.Cluster do
  @moduledoc """
  Forms a cluster from the DNS records of a name, and keeps it whole.

  From the configuration of the `:caravan` application:

      config :caravan,
        topologies: [
          app: [
            query: "app.service.consul",
            node_basename: "app",
            nameservers: ["127.0.0.1:8600"]
          ]
        ]

  or under a supervisor of one's own:

      children = [
        {Caravan.Cluster, name: :app, query: "app.service.consul", node_basename: "app"}
      ]

  Each record becomes the name of a node, `node_basename-port@target` if nothing else is said.
  Nodes that are missing are connected to, several at a time. When DNS fails, the last good answer
  stands. Nobody is disconnected, unless `:prune` says so.

  Functions that ask a topology exit with `:noproc` when the node has none of that name.

  `Caravan.Cluster.DnsStrategy` is the same for applications with libcluster.

  ## Options

  A keyword list or a map. What to look for:

    * `:name` - names the topology, an atom. Required; from the configuration, it is the key.
    * `:query` - the name that has the records, or a list of up to 16 of them, each a name or
      `{basename, name}`. With `:ignore` or `nil` nothing is started. Required without `:nodes`.
    * `:nodes` - nodes that are wanted whatever DNS says, up to 1000. Default: `[]`.
    * `:exclude` - nodes that this one does not connect to, though they are wanted. Default: `[]`.
    * `:node_basename` - what stands before `-port@target` in the names of the nodes: a string, a
      binary or an atom, of letters, digits, `-` and `_`. With a list of them, a record gives a
      name for each; where `{port}` is in the template, they are taken as names of one listener,
      and tried until one is connected. Default: `:default`, that of this node's name.
    * `:record` - the type of the records: `:srv`, `:a`, `:aaaa`, or `:addresses`, which is both A
      and AAAA, of the families that the distribution speaks. Default: `:srv`.
    * `:node_name` - a template for the names of the nodes, with the placeholders `{basename}`,
      `{port}`, `{target}`, the first label of the target as `{label}` and what follows it as
      `{domain}`, and `{ip}`; or `:default`, which is `"{basename}-{port}@{target}"`.
      Records of the types `:a` and `:aaaa` have no port and no target; their default is
      `"{basename}@{ip}"`.

  How to look:

    * `:resolver`, `:nameservers`, `:timeout`, `:transport` - as in `Caravan.DNS`. Default: those
      of the resolver; records of addresses are asked for over TCP first unless `:transport` says
      otherwise.
    * `:dns_client` - `:default`, a lookup as the options above say; or a module of
      `Caravan.DnsClient`, for which only `:timeout` counts, with a default of 15 s.
      Default: `:default`.
    * `:poll_interval` - milliseconds between lookups, 100 to 3,600,000, give or take a tenth; a
      quarter of that after a change, and not before the TTL of the answer is over. Default: 5000.

  How to connect:

    * `:connect_timeout` - milliseconds for one node, 1 to 120,000. Default: 10000.
    * `:max_connecting` - nodes connected to at a time, 1 to 1000. Default: 16.
    * `:expect` - how many other nodes must be connected for this one to be ready (`health/1`): a
      number from 0 to 10,000, or `{:fraction, f}`, above 0 and up to 1, of the wanted nodes, rounded
      up. Default: 0.
    * `:stable_for` - milliseconds for which neither the wanted nor the connected nodes have changed
      when the topology becomes ready for the first time, 0 to 3,600,000. Default: 0.
    * `:connect` - `{module, function, arguments}` that connects to a node, which is appended to
      the arguments. Default: `{:net_kernel, :connect_node, []}`.
    * `:disconnect` - the same for disconnecting. Default: `{:erlang, :disconnect_node, []}`.
    * `:list_nodes` - `{module, function, arguments}` that returns the nodes connected to.
      Default: `{:erlang, :nodes, [:connected]}`.

  How much to believe:

    * `:max_nodes` - nodes taken from one answer, 1 to 10,000. Default: 1000.
    * `:atom_budget` - atoms that the topology may make of names that turn out to be no nodes',
      1 to 100,000. A name that is connected once counts no more, and every ten minutes one is
      given back. Default: half of `:max_nodes`.
    * `:answers` - `:all`, or `:sampled` for a nameserver that shows a sample of the nodes in each
      answer, as AWS Cloud Map does. Default: `:all`.
    * `:sampled_expiry` - for how many milliseconds a node of a sample, or of an incomplete
      answer, is wanted after it was listed last, 1000 to 86,400,000. Default: 600,000.
    * `:prune` - whether nodes are disconnected that DNS does not list any more. Default: `false`.
    * `:prune_after` - milliseconds that a node must be absent from fresh and complete answers
      before, 1000 to 86,400,000. Default: 300,000.
    * `:prune_max_fraction` - the part of the cluster, this node included, that may be
      disconnected within `:prune_after`, above 0 and up to 1. Default: 0.34.

  What to say:

    * `:log` - the least level of what the topology logs, `:debug` to `:emergency`; `:all`, or
      `:none`. Options that are not allowed, and a crash, are logged all the same. Default: `:all`.
  """

  @type options :: :caravan_cluster.options()

  @doc """
  Starts a topology that is linked to the caller.

  Returns `{:ok, pid}`; `:ignore` when the query is `:ignore` or `nil`;
  `{:error, {:bad_option, key, value, allowed}}` for an option that is
  missing, unknown or not allowed; `{:error, {:already_started, pid}}` when the node has a
  topology of that name.

  ## Examples

      iex> options = [name: :app, query: "app.service.consul", node_basename: "app"]
      iex> Caravan.Cluster.start_link([poll_interval: 5] ++ options)
      {:error, {:bad_option, :poll_interval, 5, ~c"an integer from 100 to 3600000"}}

  """
  @spec start_link(options()) :: {:ok, pid()} | :ignore | {:error, term()}
  defdelegate start_link(options), to: :caravan_cluster

  @doc """
  Returns a child specification for a supervisor. Options that are not allowed show when the child
  is started.

  ## Examples

      iex> options = [name: :app, query: "app.service.consul", node_basename: "app"]
      iex> Caravan.Cluster.child_spec(options).id
      {:caravan_cluster, :app}

  """
  @spec child_spec(options()) :: :supervisor.child_spec()
  defdelegate child_spec(options), to: :caravan_cluster

  @doc """
  Starts a topology under Caravan's own supervisor, as one of the configuration.

  Returns and errors as `start_link/1`, and `{:error, :not_started}` when the `:caravan`
  application is not.

  ## Examples

      {:ok, _pid} =
        Caravan.Cluster.start(name: :app, query: "app.service.consul", node_basename: "app")

  """
  @spec start(options()) :: {:ok, pid()} | :ignore | {:error, term()}
  defdelegate start(options), to: :caravan_cluster

  @doc """
  Stops a topology that `start/1` or the configuration has started. The connections stay.

  Returns `:ok`; `{:error, :not_found}` when Caravan's supervisor has none of that name;
  `{:error, :not_started}` when the `:caravan` application is not.

  ## Examples

      iex> Caravan.Cluster.stop(:nobody)
      {:error, :not_found}

  """
  @spec stop(name :: atom()) :: :ok | {:error, :not_found | :not_started}
  defdelegate stop(name), to: :caravan_cluster

  @doc """
  Gives a topology other options, all of them; it polls at once.

  What is left out gets its default, not its former value. Who waits or is subscribed stays so,
  and what was wanted stands until there is an answer, but for names of `:nodes` that it no longer
  has, and without a query nothing stands. After a crash the topology is started with its first
  options.

  Returns `:ok`, or `{:error, {:bad_option, key, value, allowed}}`, and then nothing has changed.

  ## Examples

      Caravan.Cluster.change(:app, query: "app.service.consul", node_basename: "app", prune: true)
      #=> :ok

  """
  @spec change(name :: atom(), options() | map()) :: :ok | {:error, term()}
  defdelegate change(name, options), to: :caravan_cluster

  @doc """
  Says why a node is not connected. Says first what the topologies of this node know: the node has left,
  this one has, or it is excluded. Otherwise it takes the steps of an attempt to connect, from the node's
  port and address to the end of the handshake, and says which of them fails.

  It takes up to ten seconds, connects nobody, and makes no atom of the name. The handshake is that of a
  hidden node, whose name begins with `0-caravan-doctor`, with the default cookie, closed at once; where the
  cookie differs, the other node logs that. Any node may be asked for, of a topology or not.

  Returns a map with `:node`, `:result`, `:explanation` and, as far as they are known, `:address`,
  `:port` and `:name_there`; or `{:error, {:bad_option, :node, value, allowed}}`, or
  `{:error, {:not_loaded, text}}` where the library cannot be loaded. The result is
  `:connected`; `:proven`, a node of that name with the same cookie; `:reachable`, where the cookie is not
  known; `{:left, :here | :there, milliseconds}`; `{:excluded, topology}`; or a reason, such as `:cookie`
  ([clusters.md](docs/clusters.md) has all of them).

  ## Examples

      %{result: :cookie, explanation: text} = Caravan.Cluster.why(:"app-4370@10.0.0.1")

  """
  @spec why(node() | String.t() | charlist()) :: map() | {:error, term()}
  defdelegate why(node), to: :caravan_cluster

  @doc """
  Keeps the topology from connecting to a node for so many milliseconds, 0 to 4294967295.

  A connection that there is stays, and the node, or `:global`, may connect it to this one again: to
  keep it out of a cluster, exclude it on all others and stop its own topology
  ([clusters.md](docs/clusters.md)). Another call for the node replaces the time; 0 ends it. A node
  that was disconnected by hand counts as one whose connection did not last, and is left alone for a
  while after that, unless `reconnect/1` ends it. Returns `:ok`, or
  `{:error, {:bad_option, :milliseconds, value, allowed}}`.

  ## Examples

      :ok = Caravan.Cluster.exclude(:app, :"app-4370@10.0.0.1", 600_000)

  """
  @spec exclude(name :: atom(), node(), non_neg_integer()) :: :ok | {:error, term()}
  defdelegate exclude(name, node, milliseconds), to: :caravan_cluster

  @doc """
  Makes the topology try all nodes that are missing at once, whatever their back-off, as after a
  fault that is mended. Ends what `leave/0` has begun. Returns `:ok`.

  ## Examples

      :ok = Caravan.Cluster.reconnect(:app)

  """
  @spec reconnect(name :: atom()) :: :ok
  defdelegate reconnect(name), to: :caravan_cluster

  @doc """
  Takes this node out of its cluster for a minute: as `leave/2` for all topologies of this node.

  It is for a node that is drained before it is stopped; the end of the node does as much by itself,
  unless the key `:leave_on_stop` says otherwise. Returns `:ok`, within a second.

  ## Examples

      :ok = Caravan.Cluster.leave()

  """
  @spec leave() :: :ok
  defdelegate leave(), to: :caravan_cluster

  @doc """
  Takes this node out of a topology for a minute, as `leave/2`. Returns `:ok`.

  ## Examples

      :ok = Caravan.Cluster.leave(:app)

  """
  @spec leave(name :: atom()) :: :ok
  defdelegate leave(name), to: :caravan_cluster

  @doc """
  Takes this node out of a topology for so many milliseconds, 1 to 86400000.

  The node says to all others that it goes, its topology connects to nobody, and it disconnects,
  within a second. The topologies of the others do not connect to it until the time is over or it
  comes back by itself, and log one line at notice. It connects again when the time is over, and
  after `reconnect/1`.

  Where another topology of this node wants a node that is connected, it disconnects nobody, and
  only the topologies of that name hear of it ([clusters.md](docs/clusters.md)). Returns `:ok`, or
  `{:error, {:bad_option, :milliseconds, value, allowed}}`.

  ## Examples

      :ok = Caravan.Cluster.leave(:app, 300_000)

  """
  @spec leave(name :: atom(), pos_integer()) :: :ok | {:error, term()}
  defdelegate leave(name, milliseconds), to: :caravan_cluster

  @doc """
  Makes the topologies of the configuration as the application's environment is now: starts those
  that are new, stops those that have gone, gives other options to those that have changed.

  Connections stay, and topologies of `start/1` are left alone; one that the configuration has by
  then, too, belongs to it from then on. Returns `:ok`, or
  `{:error, :not_started}` when the application is not.

  ## Examples

      Application.put_env(:caravan, :topologies, app: [query: "app.service.consul", node_basename: "app"])
      :ok = Caravan.Cluster.reload()

  """
  @spec reload() :: :ok | {:error, :not_started}
  defdelegate reload(), to: :caravan_cluster

  @doc """
  Returns the names of the topologies of this node, while the `:caravan` application runs.

  ## Examples

      Caravan.Cluster.topologies()
      #=> [:app, :db]

  """
  @spec topologies() :: [name :: atom()]
  defdelegate topologies(), to: :caravan_cluster

  @doc """
  Makes the topology poll at once, if there is one. Returns `:ok`.

  ## Examples

      iex> Caravan.Cluster.poll(:nobody)
      :ok

  """
  @spec poll(name :: atom()) :: :ok
  defdelegate poll(name), to: :caravan_cluster

  @doc """
  Returns what the topology knows, wants and does; `t::caravan_cluster.status/0` says what each
  key means.

  ## Examples

      Caravan.Cluster.status(:app)
      #=> %{
      #=>   name: :app,
      #=>   last_lookup: :fresh,
      #=>   wanted: [:"app-4370@10.0.0.1", :"app-4370@10.0.0.2"],
      #=>   connected: [:"app-4370@10.0.0.1"],
      #=>   failing: %{"app-4370@10.0.0.2": %{count: 3, reason: :timeout, retry_in: 3120}},
      #=>   ...
      #=> }

  """
  @spec status(name :: atom()) :: :caravan_cluster.status()
  defdelegate status(name), to: :caravan_cluster

  @doc """
  Returns whether this node may take traffic, as far as the topology knows.

  `:ok`; `{:degraded, reasons}` when something is not as it should be that keeps nobody from taking
  traffic; `{:not_ready, reasons}` otherwise, with those reasons first that keep the node from being
  ready. `t::caravan_cluster.health_reason/0` has the reasons. That DNS fails never makes a ready node
  `:not_ready`.

  It does not raise, and waits for a topology that is busy for at most a second. Of one that does not
  run or does not answer it says `:degraded` if that one was ready before, and otherwise `:not_ready`.

  ## Examples

      iex> Caravan.Cluster.health(:nobody)
      {:not_ready, [:not_running]}

  """
  @spec health(name :: atom()) :: :caravan_cluster.health()
  defdelegate health(name), to: :caravan_cluster

  @doc """
  Returns a health in words, as one line without a newline, for logs and for what a probe prints.

  ## Examples

      iex> Caravan.Cluster.format_health({:not_ready, [{:too_few_nodes, %{expected: 2, connected: 1}}]})
      "not ready: 1 other node is connected and 2 are expected"

  """
  @spec format_health(:caravan_cluster.health()) :: String.t()
  defdelegate format_health(health), to: :caravan_cluster

  @doc """
  Waits until so many other nodes of the topology are connected, or until the given nodes are,
  whether they are of the topology or not, or, with `:ready`, until `health/1` is not `:not_ready`.

  The time-out is in milliseconds, or `:infinity`. Returns `{:ok, nodes}` with the nodes of the
  topology that are connected then; `{:error, :timeout}`; for an argument that is not allowed
  `{:error, {:bad_option, key, value, allowed}}`.

  ## Examples

      Caravan.Cluster.await(:app, 2, 30_000)
      #=> {:ok, [:"app-4370@10.0.0.1", :"app-4370@10.0.0.2"]}

      Caravan.Cluster.await(:app, [:"app-4370@10.0.0.9"], 500)
      #=> {:error, :timeout}

      {:ok, _nodes} = Caravan.Cluster.await(:app, :ready, 30_000)

  """
  @spec await(name :: atom(), non_neg_integer() | [node()] | :ready, timeout()) ::
          {:ok, [node()]} | {:error, :timeout | :caravan_option.error()}
  defdelegate await(name, goal, timeout), to: :caravan_cluster

  @doc """
  Tells the caller, from now on, of nodes of the topology that are connected or lost:
  `{:caravan_cluster, name, {:up, node}}` and `{:caravan_cluster, name, {:down, node}}`.

  Returns `{:ok, nodes}` with those that are connected now. The subscription ends with the caller,
  with `unsubscribe/1` and with `stop/1`. It outlives a crash of the topology, of which
  `{:caravan_cluster, name, :restarted}` tells: whoever keeps a list calls `subscribe/1` again.

  ## Examples

      {:ok, nodes} = Caravan.Cluster.subscribe(:app)

      receive do
        {:caravan_cluster, :app, {:up, node}} -> [node | nodes]
        {:caravan_cluster, :app, {:down, node}} -> List.delete(nodes, node)
      end

  """
  @spec subscribe(name :: atom()) :: {:ok, [node()]}
  defdelegate subscribe(name), to: :caravan_cluster

  @doc """
  Ends a subscription of the caller, if there is one. Messages that have come already stay.
  Returns `:ok`.

  ## Examples

      Caravan.Cluster.unsubscribe(:app)
      #=> :ok

  """
  @spec unsubscribe(name :: atom()) :: :ok
  defdelegate unsubscribe(name), to: :caravan_cluster
end
