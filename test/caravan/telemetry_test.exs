defmodule Caravan.TelemetryTest do
  # A module :telemetry is made up.
  use ExUnit.Case, async: false

  test "measure/0 emits the gauges of a topology" do
    options = [
      name: :telemetry_test,
      nodes: [:"app@n.test"],
      connect: {:erlang, :is_atom, []},
      list_nodes: {:erlang, :nodes, [:connected]},
      log: :none
    ]

    start_supervised!({Caravan.Cluster, options})

    :caravan_test_telemetry.with(fn ->
      assert Caravan.Telemetry.measure() == :ok
      metadata = %{topology: :telemetry_test}

      assert {%{wanted: 1, connected: 0, answer_age: 0}, ^metadata} =
               :caravan_test_telemetry.await([:caravan, :cluster, :status], metadata)
    end)
  end
end
