import Config

# Caravan asks Consul's DNS server for the SRV records of the service and connects to the nodes that they stand for: a
# record with port 4370 whose target has the address 10.0.0.1 is the node mix_app-4370@10.0.0.1.
config :caravan,
  nameservers: ["127.0.0.1:8600"],
  topologies: [
    mix_app: [
      query: "mix-app.service.consul",
      node_basename: "mix_app",
      node_name: "{basename}-{port}@{ip}"
    ]
  ]
