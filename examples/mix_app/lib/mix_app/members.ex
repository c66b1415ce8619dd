defmodule MixApp.Members do
  @moduledoc "Logs which nodes join and leave the cluster."
  use GenServer
  require Logger

  @doc "Starts the process that logs."
  @spec start_link(term()) :: GenServer.on_start()
  def start_link(_options), do: GenServer.start_link(__MODULE__, nil, name: __MODULE__)

  @doc "The nodes of the cluster, this one included, in order."
  @spec list() :: [node()]
  def list, do: Enum.sort([node() | Node.list()])

  @impl true
  def init(nil) do
    :ok = :net_kernel.monitor_nodes(true)
    Logger.info("members: #{inspect(list())}")
    {:ok, nil}
  end

  @impl true
  def handle_info({change, node}, state) when change in [:nodeup, :nodedown] do
    Logger.info("#{change} #{node}, members: #{inspect(list())}")
    {:noreply, state}
  end
end
