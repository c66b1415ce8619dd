defmodule Caravan.Cluster.DnsStrategy do
  @moduledoc """
  `Caravan.Cluster` as a strategy of [libcluster](https://hex.pm/packages/libcluster):

      config :libcluster,
        topologies: [
          app: [
            strategy: Caravan.Cluster.DnsStrategy,
            config: [query: "app.service.consul", node_sname: "app"]
          ]
        ]

  Each SRV record of `:query` becomes the node `node_sname-port@target`. `Caravan.Cluster` says
  what a topology does, and answers for this one too: `Caravan.Cluster.status(:app)`.

  ## Config

    * `:query` - the name that has the SRV records. Required.
    * `:node_sname` - what stands before `-port@target` in the names of the nodes. Required.
    * `:poll_interval` - milliseconds between lookups, 100 to 3,600,000. Default: 5000.
    * `:dns_client` - a module of `Caravan.DnsClient`. Default: `Caravan.DnsClient.Cares`.

  All other options of `Caravan.Cluster` are allowed, but for `:name` and `:node_basename`, which
  come from the name of the topology and `:node_sname`. `:connect`, `:disconnect` and
  `:list_nodes` are those of libcluster, beside `:strategy`.

  With `config :caravan, debug: true`, the nodes of each poll are logged.

  ## Telemetry

  Beside the events of Caravan, connecting and disconnecting emits those of libcluster:
  `[:libcluster, :connect_node, :ok | :error]` and `[:libcluster, :disconnect_node, :ok | :error]`,
  with their measurements and metadata.
  """

  # No `use Cluster.Strategy`: libcluster is found at run time. To be there when this is compiled,
  # it would have to be a dependency, also of those who do without it.

  alias Caravan.Cluster.Config

  @compile {:no_warn_undefined, Cluster.Strategy}

  @max_nodes 1000

  @doc """
  Returns a child specification for a supervisor. The argument is a list of one
  `Cluster.Strategy.State`.

  ## Examples

      iex> Caravan.Cluster.DnsStrategy.child_spec([%{topology: :app}])
      %{
        id: Caravan.Cluster.DnsStrategy,
        start: {Caravan.Cluster.DnsStrategy, :start_link, [[%{topology: :app}]]}
      }

  """
  @spec child_spec([map()]) :: :supervisor.child_spec()
  def child_spec(states), do: %{id: __MODULE__, start: {__MODULE__, :start_link, [states]}}

  @doc """
  Starts the topology that a list of one `Cluster.Strategy.State` describes. libcluster's
  supervisor calls it.

  Raises `KeyError` when the config has no `:query` or no `:node_sname`. The errors are those of
  `Caravan.Cluster.start_link/1`: `{:bad_option, key, value, allowed}` for a value that is not
  allowed, and `{:already_started, pid}` when the node has a topology of that name.

  ## Examples

      iex> Caravan.Cluster.DnsStrategy.start_link([
      ...>   %{
      ...>     topology: :app,
      ...>     connect: {:net_kernel, :connect_node, []},
      ...>     disconnect: {:erlang, :disconnect_node, []},
      ...>     list_nodes: {:erlang, :nodes, [:connected]},
      ...>     config: [query: "app.service.consul", node_sname: "app", poll_interval: 0]
      ...>   }
      ...> ])
      {:error, {:bad_option, :poll_interval, 0, ~c"an integer from 100 to 3600000"}}

  """
  @spec start_link([map()]) :: {:ok, pid()} | {:error, term()}
  def start_link([state]) do
    config = Config.new(state)

    # So that it emits the events of libcluster as well.
    config
    |> Config.to_options()
    |> Keyword.put(:started_by, {:libcluster, config.topology})
    |> :caravan_cluster.start_link()
  end

  @doc """
  Asks once, in the calling process, and connects to the nodes that are missing, one after the
  other.

  For callers of Caravan 1.0; a topology needs no such call. With libcluster it connects through
  `Cluster.Strategy.connect_nodes/4`, which logs and emits the telemetry events of libcluster. Of
  the further options, only `:max_nodes` counts.

  Returns `:ok`, or `{:error, [{node, reason}]}` for the nodes that could not be connected to,
  with what `:connect` returned for each. Raises what the DNS client raises.

  ## Examples

      Caravan.Cluster.DnsStrategy.find_nodes(%Caravan.Cluster.Config{
        topology: :app,
        query: "app.service.consul",
        node_sname: "app",
        dns_client: Caravan.DnsClient.Cares,
        connect: {:net_kernel, :connect_node, []},
        list_nodes: {:erlang, :nodes, [:connected]}
      })
      #=> {:error, [{:"app-4371@7f000001.addr.dc1.consul", false}]}

  """
  @spec find_nodes(Config.t()) :: :ok | {:error, [{node(), term()}]}
  def find_nodes(%Config{query: query, dns_client: dns_client} = config) do
    nodes = query |> dns_client.get_nodes() |> node_names(config) |> List.delete(node())

    if :caravan_config.value(:debug) == {:ok, true},
      do: :caravan_report.found_once(nodes, config.topology)

    connect_nodes(nodes, config)
  end

  # Records come from the network, and the VM never frees an atom.
  defp node_names(records, %Config{node_sname: basename, options: options}) do
    for {port, host} <- Enum.take(records, Keyword.get(options, :max_nodes, @max_nodes)),
        {:ok, name} <- [:caravan_nif.node_name("#{basename}-#{port}@#{host}")],
        uniq: true,
        do: String.to_atom(name)
  end

  defp connect_nodes(nodes, %Config{connect: connect, list_nodes: list_nodes} = config) do
    if Code.ensure_loaded?(Cluster.Strategy),
      do: Cluster.Strategy.connect_nodes(config.topology, connect, list_nodes, nodes),
      else: connect_missing(nodes -- call(list_nodes, []), connect)
  end

  defp connect_missing(nodes, connect) do
    results = for node <- nodes, do: {node, call(connect, [node])}
    failed = for {_node, result} = pair <- results, result != true, do: pair
    if failed == [], do: :ok, else: {:error, failed}
  end

  defp call({module, function, arguments}, more), do: apply(module, function, arguments ++ more)
end
