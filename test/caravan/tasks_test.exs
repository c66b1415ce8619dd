defmodule Caravan.TasksTest do
  use ExUnit.Case, async: false

  import ExUnit.CaptureIO

  setup do
    :ok = :caravan_nif.load()
    {:ok, server} = :caravan_dns_server.start_link(%{})

    :ok =
      :caravan_dns_server.put(server, "_app._tcp.test", :srv, [
        {:srv, 30, 1, 1, 4370, "127.0.0.9"}
      ])

    %{nameserver: to_string(:caravan_dns_server.nameserver(server))}
  end

  test "caravan.dig prints the records and exits with a status", %{nameserver: nameserver} do
    printed = capture_io(fn -> run("dig", ["_app._tcp.test", "--nameserver", nameserver]) end)
    assert printed =~ "_app._tcp.test 30 IN SRV 1 1 4370 127.0.0.9"

    assert capture_io(fn ->
             assert {:shutdown, 1} =
                      catch_exit(run("dig", ["no.test", "a", "--nameserver", nameserver]))
           end) =~ "nxdomain"
  end

  test "caravan.doctor names the cause", %{nameserver: nameserver} do
    arguments = ~w(--node app-4371@127.0.0.9 --query _app._tcp.test --nameserver #{nameserver})

    printed = capture_io(fn -> assert {:shutdown, 1} = catch_exit(run("doctor", arguments)) end)

    assert printed =~
             "cause: DNS does not list this node, app-4371@127.0.0.9; at its host it lists app-4370@127.0.0.9"
  end

  test "caravan.names lists nodes" do
    assert capture_io(fn -> run("names", ["--json"]) end) =~ ~r/^\[/
  end

  defp run(task, arguments), do: Mix.Task.rerun("caravan." <> task, arguments)
end
