defmodule Caravan.EpmdTest do
  use ExUnit.Case, async: true

  doctest Caravan.Epmd

  test "the epmd module has every callback that OTP calls" do
    exported = Caravan.Epmd.Client.module_info(:exports)

    for callback <- [
          start_link: 0,
          listen_port_please: 2,
          register_node: 3,
          address_please: 3,
          port_please: 2,
          names: 1
        ] do
      assert callback in exported
    end
  end

  test "the epmd module answers as :caravan_epmd does" do
    alias Caravan.Epmd.Client

    assert Client.start_link() == :ignore
    assert Client.listen_port_please(:"app-4834", ~c"host") == {:ok, 4834}
    assert Client.register_node(:"app-4834", 4834, :inet) == {:ok, -1}
    assert Client.port_please(~c"app-4834", {127, 0, 0, 1}) == {:port, 4834, 6}

    assert Client.address_please(~c"app-4834", ~c"127.0.0.1", :inet) ==
             {:ok, {127, 0, 0, 1}, 4834, 6}

    assert Client.names(~c"another.example") == {:ok, []}
  end

  test "a term that is no name raises" do
    assert_raise ArgumentError, fn -> Caravan.Epmd.dist_port(4370) end
    assert_raise ArgumentError, fn -> Caravan.Epmd.explain(4370) end
  end
end
