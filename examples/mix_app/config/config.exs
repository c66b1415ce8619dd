import Config

# Caravan asks Consul's DNS server for the SRV records of the service and connects to the nodes that they stand for:
# a record with port 4370 and target web1.node.consul is the node mix_app-4370@web1.node.consul.
config :caravan,
  topologies: [
    mix_app: [
      query: "mix-app.service.consul",
      node_basename: "mix_app",
      nameservers: ["127.0.0.1:8600"],
      poll_interval: 5_000
    ]
  ]
