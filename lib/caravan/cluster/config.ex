defmodule Caravan.Cluster.Config do
  @moduledoc """
  What `Caravan.Cluster.DnsStrategy` needs of the state that libcluster hands to a strategy.

    * `:topology` - the name of the topology.
    * `:query` - the name that has the SRV records.
    * `:node_sname` - what stands before `-port@host` in the names of the nodes.
    * `:dns_client` - a module of `Caravan.DnsClient`.
    * `:poll_interval` - milliseconds between lookups.
    * `:connect`, `:disconnect`, `:list_nodes` - `{module, function, arguments}`, as libcluster
      gives them.
    * `:options` - the options of `Caravan.Cluster` that were given besides, a keyword list.
  """

  @keys [:query, :node_sname, :dns_client, :poll_interval]

  defstruct [
    :topology,
    :query,
    :dns_client,
    :node_sname,
    :connect,
    :disconnect,
    :list_nodes,
    :poll_interval,
    options: []
  ]

  @type t :: %__MODULE__{
          topology: atom() | String.t(),
          query: String.t(),
          dns_client: module(),
          node_sname: String.t(),
          connect: {module(), atom(), list()},
          disconnect: {module(), atom(), list()},
          list_nodes: {module(), atom(), list()},
          poll_interval: pos_integer(),
          options: keyword()
        }

  @doc """
  Takes the `Cluster.Strategy.State` of a topology apart. Raises `KeyError` when its config has no
  `:query` or no `:node_sname`; the values are checked when the topology starts.

  ## Examples

      iex> config =
      ...>   Caravan.Cluster.Config.new(%{
      ...>     topology: :app,
      ...>     connect: {:net_kernel, :connect_node, []},
      ...>     disconnect: {:erlang, :disconnect_node, []},
      ...>     list_nodes: {:erlang, :nodes, [:connected]},
      ...>     config: [query: "app.service.consul", node_sname: "app", max_nodes: 50]
      ...>   })
      iex> {config.dns_client, config.poll_interval, config.options}
      {Caravan.DnsClient.Cares, 5000, [max_nodes: 50]}

  """
  # A map and not the struct: libcluster may not be there when this is compiled.
  @spec new(state :: map()) :: t()
  def new(%{
        topology: topology,
        connect: connect,
        disconnect: disconnect,
        list_nodes: list_nodes,
        config: config
      }) do
    %__MODULE__{
      topology: topology,
      connect: connect,
      disconnect: disconnect,
      list_nodes: list_nodes,
      query: Keyword.fetch!(config, :query),
      node_sname: Keyword.fetch!(config, :node_sname),
      dns_client: Keyword.get(config, :dns_client, Caravan.DnsClient.Cares),
      poll_interval: Keyword.get(config, :poll_interval, 5000),
      options: Keyword.drop(config, @keys)
    }
  end

  @doc """
  Returns the options for `Caravan.Cluster.start_link/1`. Fields that are `nil` get the default
  there. Where nameservers are configured neither here nor for the `:caravan` application, those of
  an `inetrc` file of OTP are taken, if it has any.

  ## Examples

      iex> Caravan.Cluster.Config.to_options(%Caravan.Cluster.Config{
      ...>   topology: :app,
      ...>   query: "app.service.consul",
      ...>   node_sname: "app",
      ...>   dns_client: Caravan.DnsClient.Cares,
      ...>   options: [max_nodes: 50]
      ...> })
      [
        max_nodes: 50,
        name: :app,
        query: "app.service.consul",
        node_basename: "app",
        dns_client: :default
      ]

  """
  @spec to_options(t()) :: keyword()
  def to_options(%__MODULE__{} = config) do
    given = [
      name: topology_name(config.topology),
      query: config.query,
      node_basename: config.node_sname,
      dns_client: dns_client(config.dns_client),
      poll_interval: config.poll_interval,
      connect: config.connect,
      disconnect: config.disconnect,
      list_nodes: config.list_nodes
    ]

    config.options
    |> Keyword.merge(Enum.reject(given, fn {_key, value} -> value == nil end))
    |> with_nameservers()
  end

  # libcluster takes any term as the name of a topology, and Caravan 1.0 did.
  defp topology_name(name) when is_binary(name), do: String.to_atom(name)
  defp topology_name(name), do: name

  # Caravan 1.0 asked where OTP asks, and had Consul put into the `inetrc` file of OTP.
  defp with_nameservers(options) do
    with false <- Keyword.has_key?(options, :nameservers) or Keyword.has_key?(options, :resolver),
         :default <- :caravan_config.source(:nameservers),
         [_ | _] = nameservers <- inetrc_nameservers() do
      Keyword.put(options, :nameservers, Enum.map(nameservers, &nameserver/1))
    else
      _ -> options
    end
  end

  defp inetrc_nameservers do
    if System.get_env("ERL_INETRC", "") != "" or Application.get_env(:kernel, :inetrc) != nil,
      do: Enum.take(:inet_db.res_option(:nameservers), 16),
      else: []
  end

  defp nameserver({{_, _, _, _} = address, port}), do: "#{:inet.ntoa(address)}:#{port}"
  defp nameserver({address, port}), do: "[#{:inet.ntoa(address)}]:#{port}"

  # The topology looks up by itself then, and knows whether an answer is complete.
  defp dns_client(Caravan.DnsClient.Cares), do: :default
  defp dns_client(module), do: module
end
