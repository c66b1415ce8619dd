defmodule Caravan.Cluster.InetrcTest do
  # What OTP resolves with is one for the whole VM.
  use ExUnit.Case, async: false

  alias Caravan.Cluster.Config

  setup do
    :ok = :inet_db.add_ns({127, 0, 0, 1}, 8600)
    Application.put_env(:kernel, :inetrc, ~c"/some/inetrc")

    on_exit(fn ->
      Application.delete_env(:kernel, :inetrc)
      :inet_db.del_ns({127, 0, 0, 1}, 8600)
    end)
  end

  defp nameservers(options),
    do:
      Config.to_options(%Config{topology: :app, query: "q", node_sname: "app", options: options})[
        :nameservers
      ]

  test "the nameservers of an inetrc file are asked where there are no others" do
    assert "127.0.0.1:8600" in nameservers([])
    assert nameservers(nameservers: ["10.0.0.1"]) == ["10.0.0.1"]
    assert nameservers(resolver: make_ref()) == nil
  end

  test "those of the application come first" do
    Application.put_env(:caravan, :nameservers, ["10.0.0.1"])
    assert nameservers([]) == nil
  after
    Application.delete_env(:caravan, :nameservers)
  end

  test "without such a file the system is asked" do
    Application.delete_env(:kernel, :inetrc)
    assert nameservers([]) == nil
  end

  test "an IPv6 nameserver has brackets" do
    :ok = :inet_db.add_ns({0, 0, 0, 0, 0, 0, 0, 1}, 8600)
    assert "[::1]:8600" in nameservers([])
  after
    :inet_db.del_ns({0, 0, 0, 0, 0, 0, 0, 1}, 8600)
  end
end
