import Config

config :caravan,
  topologies: [
    shop: [query: "shop-nodes", dns_client: Shop.NomadNodes]
  ]
