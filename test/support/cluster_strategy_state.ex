defmodule Cluster.Strategy.State do
  @moduledoc """
  What libcluster hands to a strategy, for tests: libcluster itself is no dependency.
  """

  defstruct [:topology, :connect, :disconnect, :list_nodes, :meta, config: []]

  @doc """
  The state that libcluster's supervisor makes of a topology in its configuration.
  """
  def of(topology, spec) do
    %__MODULE__{
      topology: topology,
      connect: spec[:connect] || {:net_kernel, :connect_node, []},
      disconnect: spec[:disconnect] || {:erlang, :disconnect_node, []},
      list_nodes: spec[:list_nodes] || {:erlang, :nodes, [:connected]},
      config: spec[:config] || []
    }
  end

  @doc """
  The child specification that libcluster's supervisor makes of it.
  """
  def child_spec(topology, spec),
    do: %{id: topology, start: {spec[:strategy], :start_link, [[of(topology, spec)]]}}
end
