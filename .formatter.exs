[
  inputs: [
    "{mix,.formatter}.exs",
    "{lib,test}/**/*.{ex,exs}",
    "examples/mix_app/{mix,.formatter}.exs",
    "examples/mix_app/{config,lib,rel,test}/**/*.{ex,exs}",
    "examples/{ecs,kubernetes,nomad}/**/*.{ex,exs}"
  ]
]
