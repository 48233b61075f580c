# Eigen comes from the embedder, the system, or the cmeel-eigen wheel of the Python in use.
find_package(Eigen3 3.4 CONFIG QUIET)
if(NOT TARGET Eigen3::Eigen)
  find_package(Python COMPONENTS Interpreter REQUIRED)
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -c
            "import importlib.metadata as m; print(m.distribution('cmeel-eigen').locate_file('cmeel.prefix'))"
    OUTPUT_VARIABLE cmeel_prefix OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE cmeel_failed)
  if(cmeel_failed)
    message(FATAL_ERROR "kappaflow needs Eigen 3.4: set Eigen3_DIR or CMAKE_PREFIX_PATH, or `pip install cmeel-eigen`")
  endif()
  find_package(Eigen3 3.4 CONFIG REQUIRED PATHS "${cmeel_prefix}" NO_DEFAULT_PATH)
endif()
