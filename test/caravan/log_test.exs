defmodule Caravan.LogTest do
  # Levels of the logger are changed here.
  use ExUnit.Case, async: false

  import ExUnit.CaptureLog

  @nodes for port <- 4001..4200, do: "app-#{port}@n.test"

  # As the options are that have been checked.
  @options %{
    name: :log_test,
    query: "app.test",
    queries: [{"app.test", :own}],
    dns_client: :default,
    nameservers: :default,
    resolver: :default,
    record: :srv,
    transport: :default,
    started_by: :caller,
    log: :all
  }

  # What the deciding core has to say of 200 nodes.
  @reports [
    {:change, 200, @nodes, @nodes},
    {:connected, @nodes, 200},
    {:lost, Enum.map(@nodes, &{&1, :connection_closed, true, :none}),
     Enum.map(@nodes, &{&1, :timeout}), 0},
    {:connect_failed, {:unreachable, :econnrefused}, @nodes},
    {:connect_failed, {:raised, {:error, %RuntimeError{message: "two\nlines"}}}, @nodes},
    {:failing, Enum.map(@nodes, &{&1, :timeout, 60_000})},
    {:alone, 200, 60_000, Enum.map(@nodes, &{&1, :timeout})},
    {:never_answered, [{{"app.test", :own}, {:failed, :timeout}}], 60_000},
    {:unanswered, [{{"app.test", :own}, {:failed, :timeout}}], 600_000},
    {:not_self_listed, "app-4000@n.test", @nodes},
    {:own_alias, @nodes},
    {:names_refused, %{invalid: 200}},
    {:looked_up, {"app.test", :own}, {:failed, :timeout}, :none, false, %{}}
  ]

  test "Elixir's Logger prints each event as one line" do
    for report <- @reports do
      log = capture_log(fn -> :caravan_report.log(report, @options) end)
      lines = String.split(log, "\n", trim: true)
      assert [line] = Enum.reject(lines, &(&1 in ["\e[0m", ""])), log
      assert line =~ "caravan log_test: "
      assert String.length(line) < 800
    end
  end

  test "terms of a format are laid out as Erlang does it" do
    words = fn %{nodes: nodes} -> {~c"caravan: ~0tp", [nodes]} end

    log =
      capture_log(fn -> :caravan_log.report(:error, %{event: :test, nodes: @nodes}, words) end)

    assert [line] = log |> String.split("\n", trim: true) |> Enum.filter(&(&1 =~ "app-"))
    assert line =~ "app-4001" and line =~ "app-4200"
  end

  # A release starts applications in the order of their dependencies.
  test "Elixir's Logger is there before the application logs" do
    assert :logger in Application.spec(:caravan, :applications)
  end

  test "the metadata has the topology" do
    log =
      capture_log([metadata: [:caravan_topology]], fn ->
        :caravan_report.log({:connected, ["app-4001@n.test"], 1}, @options)
      end)

    assert log =~ "caravan_topology=log_test"
  end
end
