import Config

config :caravan,
  topologies: [
    shop: [
      query: "shop-nodes.production.internal",
      node_name: "{basename}-{port}@{ip}",
      answers: :sampled
    ]
  ]
