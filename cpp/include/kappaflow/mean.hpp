#pragma once

namespace kappaflow {

/// Whether the mean of the data is known, or estimated from the same n samples.
enum class Mean { known, estimated };

}  // namespace kappaflow
