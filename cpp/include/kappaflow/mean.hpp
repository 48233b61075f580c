#pragma once

namespace kappaflow {

/// Is the mean of the data known, or estimated from the same n samples?
enum class Mean { known, estimated };

}  // namespace kappaflow
