defmodule Shop.Application do
  use Application

  @impl true
  def start(_type, _args) do
    children = [
      {Phoenix.PubSub, name: Shop.PubSub},
      {Caravan.Cluster,
       name: :shop,
       query: System.get_env("SHOP_NODES"),
       node_name: "{basename}@{target}",
       expect: 1},
      ShopWeb.Endpoint
    ]

    Supervisor.start_link(children, strategy: :one_for_one, name: Shop.Supervisor)
  end
end
