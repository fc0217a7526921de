// What RabbitMQ is measured behind: see docs/adr/0007-dependencies.md.
module semper/bench/queue/front

go 1.26.0

require github.com/rabbitmq/amqp091-go v1.16.0
