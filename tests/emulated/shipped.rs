//! Every shipped image's PTX, right under every schedule.
