defmodule Caravan.Telemetry do
  @moduledoc """
  What topologies and the default resolver are like now, as events of
  [telemetry](https://hexdocs.pm/telemetry).

  `docs/telemetry.md` has all events of Caravan, recipes for Prometheus and a dashboard. Caravan
  does not depend on telemetry: without that application nothing happens.
  """

  @doc """
  Emits `[:caravan, :cluster, :status]` for each topology of this node, and
  `[:caravan, :resolver, :status]`, `[:caravan, :resolver, :outcome]` and
  `[:caravan, :resolver, :latency]` for the default resolver.

  It is for `:telemetry_poller`. It never raises, and takes a second at the longest: a topology
  that does not answer within that time is left out.

  ## Examples

      {:telemetry_poller,
       measurements: [{Caravan.Telemetry, :measure, []}], period: :timer.seconds(10)}

  """
  @spec measure() :: :ok
  defdelegate measure(), to: :caravan_telemetry
end
