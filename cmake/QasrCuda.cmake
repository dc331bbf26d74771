# Finds nvcc and the CUDA toolkit. Sets QASR_HAVE_CUDA.
#
#   QASR_CUDA=auto   the GPU backend is built if nvcc and the toolkit are there
#   QASR_CUDA=on     ... and missing ones are an error
#   QASR_CUDA=off    no GPU backend
#
# The CUDA runtime is linked statically and cuBLASLt is opened at run time, so the result runs on machines without both.
set(QASR_CUDA auto CACHE STRING "GPU backend: auto, on or off")
set_property(CACHE QASR_CUDA PROPERTY STRINGS auto on off)
set(QASR_HAVE_CUDA OFF)

string(TOLOWER "${QASR_CUDA}" cuda_wish)
if(NOT cuda_wish MATCHES "^(auto|on|off)$")
  message(FATAL_ERROR "QASR_CUDA is ${QASR_CUDA}, expected auto, on or off")
endif()
if(NOT cuda_wish STREQUAL "off")
  include(CheckLanguage)
  check_language(CUDA)
  find_package(CUDAToolkit 12.4 QUIET)
  if(CMAKE_CUDA_COMPILER AND CUDAToolkit_FOUND AND EXISTS "${CUDAToolkit_INCLUDE_DIRS}/cublasLt.h")
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
      if(QASR_DEVELOPER)
        set(CMAKE_CUDA_ARCHITECTURES 80-real 90)  # half the time to compile; 8.6 and 8.9 run what is for 8.0
      else()
        set(CMAKE_CUDA_ARCHITECTURES 80-real 86-real 89-real 90)  # 90 also as PTX, for newer GPUs
      endif()
    endif()
    enable_language(CUDA)
    set(QASR_HAVE_CUDA ON)
  elseif(cuda_wish STREQUAL "on")
    message(FATAL_ERROR "QASR_CUDA=on, but nvcc and a CUDA toolkit of at least 12.4 with cuBLASLt were not found")
  endif()
endif()
message(STATUS "GPU backend: ${QASR_HAVE_CUDA}")
