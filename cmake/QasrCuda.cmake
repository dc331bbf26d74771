# Finds nvcc and the CUDA toolkit. Sets QASR_HAVE_CUDA.
#
#   QASR_CUDA=auto   the GPU backend is built if nvcc and the toolkit are there
#   QASR_CUDA=on     ... and missing ones are an error
#   QASR_CUDA=off    no GPU backend
#
# GPUs it is compiled for: CMAKE_CUDA_ARCHITECTURES (or CUDAARCHS in the environment) if given; otherwise all that are
# supported, and with QASR_DEVELOPER or QASR_THIS_MACHINE_ONLY those of this machine, or sm_80 alone where there is none.
#
# The CUDA runtime is linked statically and cuBLASLt is opened at run time, so the result runs on machines without both.
set(QASR_CUDA auto CACHE STRING "GPU backend: auto, on or off")
set_property(CACHE QASR_CUDA PROPERTY STRINGS auto on off)
set(QASR_HAVE_CUDA OFF)

# The compute capabilities of this machine's GPUs that are supported, as CMake writes architectures ("80;90"); empty without a GPU.
function(qasr_find_gpus result)
  find_program(QASR_NVIDIA_SMI nvidia-smi)
  mark_as_advanced(QASR_NVIDIA_SMI)
  set(lines "")
  if(QASR_NVIDIA_SMI)
    execute_process(COMMAND ${QASR_NVIDIA_SMI} --query-gpu=compute_cap --format=csv,noheader
                    OUTPUT_VARIABLE lines RESULT_VARIABLE status ERROR_QUIET)
    if(NOT status EQUAL 0)
      set(lines "")
    endif()
  endif()
  string(REGEX MATCHALL "[0-9]+\\.[0-9]" capabilities "${lines}")
  list(REMOVE_DUPLICATES capabilities)
  string(REPLACE "." "" architectures "${capabilities}")
  list(FILTER architectures EXCLUDE REGEX "^[1-7].$")  # GPUs before 8.0 are not supported
  set(${result} "${architectures}" PARENT_SCOPE)
endfunction()

function(qasr_default_cuda_architectures result)
  set(architectures 80-real 86-real 89-real 90)  # 90 also as PTX, for newer GPUs
  if(QASR_DEVELOPER OR QASR_THIS_MACHINE_ONLY)
    qasr_find_gpus(architectures)
    if(NOT architectures)
      set(architectures 80)  # compiled, not run; newer GPUs could, from its PTX
    endif()
  endif()
  set(${result} "${architectures}" PARENT_SCOPE)
endfunction()

string(TOLOWER "${QASR_CUDA}" cuda_wish)
if(NOT cuda_wish MATCHES "^(auto|on|off)$")
  message(FATAL_ERROR "QASR_CUDA is ${QASR_CUDA}, expected auto, on or off")
endif()
if(NOT cuda_wish STREQUAL "off")
  include(CheckLanguage)
  check_language(CUDA)
  find_package(CUDAToolkit 12.4 QUIET)
  if(CMAKE_CUDA_COMPILER AND CUDAToolkit_FOUND AND EXISTS "${CUDAToolkit_INCLUDE_DIRS}/cublasLt.h")
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS})
      qasr_default_cuda_architectures(CMAKE_CUDA_ARCHITECTURES)
    endif()
    enable_language(CUDA)
    set(QASR_HAVE_CUDA ON)
  elseif(cuda_wish STREQUAL "on")
    message(FATAL_ERROR "QASR_CUDA=on, but nvcc and a CUDA toolkit of at least 12.4 with cuBLASLt were not found")
  endif()
endif()
if(QASR_HAVE_CUDA)
  message(STATUS "GPU backend: ON, for ${CMAKE_CUDA_ARCHITECTURES}")
else()
  message(STATUS "GPU backend: OFF")
endif()
