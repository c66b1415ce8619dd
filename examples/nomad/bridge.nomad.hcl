# Nodes behind the bridge of their hosts, found through Consul. The port that a node listens on is not the port of its name.
job "shop" {
  group "shop" {
    count = 3

    network {
      mode = "bridge"

      port "dist" {
        to = 4370
      }

      port "health" {
        to = 4380
      }

      port "http" {
        to = 4000
      }
    }

    # The nodes find each other by this service. Its check does not wait for other nodes.
    service {
      name = "shop-nodes"
      port = "dist"

      check {
        type     = "tcp"
        interval = "10s"
        timeout  = "2s"
      }
    }

    # Traffic reaches nodes that are ready.
    service {
      name = "shop"
      port = "http"

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
        image = "registry.example.com/shop:1.0.0"
      }

      env {
        RELEASE_DISTRIBUTION = "name"
        RELEASE_NODE         = "shop-${NOMAD_HOST_PORT_dist}@${NOMAD_IP_dist}"
        ERL_DIST_PORT        = "${NOMAD_PORT_dist}"

        CARAVAN_HEALTH            = "port=${NOMAD_PORT_health},ip=0.0.0.0"
        CARAVAN_NAMESERVERS       = "${attr.unique.network.ip-address}:8600"
        CARAVAN_CLUSTER_QUERY     = "shop-nodes.service.consul"
        CARAVAN_CLUSTER_NODE_NAME = "{basename}-{port}@{ip}"
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
