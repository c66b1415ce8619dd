import Config

if nodes = System.get_env("SHOP_NODES") do
  config :caravan,
    health: [port: 4380, ip: "0.0.0.0"],
    topologies: [
      shop: [query: nodes, node_name: "{basename}@{target}", expect: 1]
    ]
end
