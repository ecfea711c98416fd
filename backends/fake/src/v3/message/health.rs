//! `grpc.health.v1.Health`.

use super::{enumerations, messages};

enumerations! {
    ServingStatus = "grpc.health.v1.HealthCheckResponse_ServingStatus" {
        UNKNOWN = 0,
        SERVING = 1,
        NOT_SERVING = 2,
        SERVICE_UNKNOWN = 3,
    }
}

messages! {
    HealthCheckRequest {
        service: String = 1;
    }
    HealthCheckResponse {
        status: ServingStatus = 1;
    }
}
