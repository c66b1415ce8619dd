# Nodes on the network of their hosts, found through Nomad's own services. Those have no DNS, so Nomad writes the nodes into a file,
# and lib/nomad_nodes.ex or src/nomad_nodes.erl reads it.
job "shop" {
  group "shop" {
    count = 3

    network {
      port "dist" {}
      port "health" {}
      port "http" {}
    }

    # The nodes find each other by this service. Its check does not wait for other nodes.
    service {
      name     = "shop-nodes"
      provider = "nomad"
      port     = "dist"

      check {
        type     = "tcp"
        interval = "10s"
        timeout  = "2s"
      }
    }

    # Traffic reaches nodes that are ready.
    service {
      name     = "shop"
      provider = "nomad"
      port     = "http"

      check {
        type     = "http"
        port     = "health"
        path     = "/ready"
        interval = "5s"
        timeout  = "3s"
      }
    }

    task "shop" {
      driver       = "docker"
      kill_timeout = "30s"

      config {
        image        = "registry.example.com/shop:1.0.0"
        network_mode = "host"
      }

      env {
        RELEASE_DISTRIBUTION = "name"
        RELEASE_NODE         = "shop-${NOMAD_HOST_PORT_dist}@${NOMAD_IP_dist}"
        ERL_DIST_PORT        = "${NOMAD_PORT_dist}"
        CARAVAN_HEALTH       = "port=${NOMAD_PORT_health},ip=${NOMAD_IP_health}"
      }

      template {
        destination = "local/nodes"
        change_mode = "noop"
        data        = <<-END
          {{ range nomadService "shop-nodes" }}{{ .Address }} {{ .Port }}
          {{ end }}
        END
      }

      template {
        destination = "secrets/cookie.env"
        env         = true
        data        = <<-END
          RELEASE_COOKIE={{ with nomadVar "nomad/jobs/shop" }}{{ .cookie }}{{ end }}
        END
      }
    }
  }
}
