defmodule Caravan.Cluster do
  @moduledoc """
  Forms a cluster from the SRV records of a name, and keeps it whole.

  From the configuration of the `:caravan` application:

      config :caravan,
        topologies: [
          app: [query: "app.service.consul", node_basename: "app", nameservers: ["127.0.0.1:8600"]]
        ]

  or under a supervisor of one's own:

      children = [
        {Caravan.Cluster, name: :app, query: "app.service.consul", node_basename: "app"}
      ]

  Each record becomes the node `node_basename-port@target`. Nodes that are missing are connected to, several at a
  time; nobody is ever disconnected. When DNS fails, the last good answer stands.

  ## Options

    * `:name` - names the topology, an atom. Required; from the configuration, it is the key.
    * `:query` - the name that has the SRV records. Required.
    * `:node_basename` - what stands before `-port@target` in the names of the nodes. Required.
    * `:nameservers`, `:timeout`, `:transport` - as in `Caravan.DNS`.
    * `:poll_interval` - milliseconds between lookups, 100 to 3,600,000. Default: 5000.
    * `:connect_timeout` - milliseconds for one node, 1 to 120,000. Default: 10000.
    * `:max_connecting` - nodes connected to at a time, 1 to 1000. Default: 16.
    * `:max_nodes` - nodes taken from one answer, 1 to 10,000. Default: 1000.
  """

  @type options :: :caravan_cluster.options()

  @doc """
  Starts a topology that is linked to the caller.

  ## Examples

      iex> Caravan.Cluster.start_link(name: :app, query: "app.service.consul", node_basename: "my app")
      {:error, {:bad_option, :node_basename, "my app", ~c"letters, digits, - and _, as a string, binary or atom"}}

  """
  @spec start_link(options()) :: {:ok, pid()} | {:error, term()}
  defdelegate start_link(options), to: :caravan_cluster

  @doc """
  Returns a child specification for a supervisor.
  """
  @spec child_spec(options()) :: :supervisor.child_spec()
  defdelegate child_spec(options), to: :caravan_cluster

  @doc """
  Makes the topology look at once.
  """
  @spec poll(atom()) :: :ok
  defdelegate poll(name), to: :caravan_cluster

  @doc """
  Returns what the topology knows, wants and does; see `t::caravan_cluster.status/0`.
  """
  @spec status(atom()) :: :caravan_cluster.status()
  defdelegate status(name), to: :caravan_cluster
end
