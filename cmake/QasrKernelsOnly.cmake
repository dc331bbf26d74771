# The modules that need no library, with their tests, for processors other than this machine's. GoogleTest comes from
# its sources. The tests `kernels_<model>` run the kernels on emulated processors with more and fewer instructions
# (QEMU_CPU), to see that the choice at run time is right and that no instruction leaves its file.
set(QASR_DEVELOPER ON)
enable_testing()
add_subdirectory(/usr/src/googletest ${PROJECT_BINARY_DIR}/googletest EXCLUDE_FROM_ALL)
foreach(module base tensor backend)
  add_subdirectory(src/${module})
endforeach()

# add_emulated_tests(<processor> HAS <instruction set> LACKS <regex of test names> FILTER <tests to run>)
function(add_emulated_tests cpu)
  cmake_parse_arguments(arg "" "HAS;LACKS;FILTER" "" ${ARGN})
  add_test(NAME kernels_${cpu}_choice
           COMMAND qasr_backend_test --gtest_list_tests --gtest_filter=Isa/CpuBackendTest.ThreadsDoNotChangeBits/*)
  add_test(NAME kernels_${cpu} COMMAND qasr_backend_test --gtest_filter=${arg_FILTER})
  set_tests_properties(kernels_${cpu}_choice PROPERTIES PASS_REGULAR_EXPRESSION "Bits/${arg_HAS} ")
  if(arg_LACKS)
    set_tests_properties(kernels_${cpu}_choice PROPERTIES FAIL_REGULAR_EXPRESSION "Bits/${arg_LACKS}")
  endif()
  set_tests_properties(kernels_${cpu}_choice kernels_${cpu} PROPERTIES LABELS kernels TIMEOUT 900
                                                                     ENVIRONMENT QEMU_CPU=${cpu})
endfunction()

# What is computed in floats is the same code in all of them: once is enough. The two longest tests are left out: the
# others meet the same tiles, in fewer shapes.
add_emulated_tests(
  max HAS neon_i8mm
  FILTER CpuBackend.*:Isa/*/neon_i8mm:Isa/QuantizedTest.*/neon*-Isa/LinearTest.Agrees*:Isa/QuantizedTest.GateUp*)
add_emulated_tests(neoverse-n1 HAS neon_dotprod LACKS neon_i8mm FILTER CpuBackend.*:Isa/QuantizedTest.Head*)
add_emulated_tests(cortex-a53 HAS neon LACKS neon_ FILTER CpuBackend.*:Isa/QuantizedTest.Head*:Isa/RowwiseTest.*)
