# The modules that need no library, with their tests, for processors other than this machine's. GoogleTest comes from
# its sources. The tests `kernels_<model>` run the kernels on emulated processors with more and fewer instructions
# (QEMU_CPU), to see that the choice at run time is right and that no instruction leaves its file.
set(QASR_DEVELOPER ON)
enable_testing()
add_subdirectory(/usr/src/googletest ${PROJECT_BINARY_DIR}/googletest EXCLUDE_FROM_ALL)
foreach(module base tensor backend)
  add_subdirectory(src/${module})
endforeach()

# add_emulated_tests(<processor> HAS <instruction set> LACKS <regex of test names> FILTERS <tests of one process>...)
function(add_emulated_tests cpu)
  cmake_parse_arguments(arg "" "HAS;LACKS" "FILTERS" ${ARGN})
  add_test(NAME kernels_${cpu}_choice
           COMMAND qasr_backend_test --gtest_list_tests --gtest_filter=Isa/CpuBackendTest.ThreadsDoNotChangeBits/*)
  set_tests_properties(kernels_${cpu}_choice PROPERTIES PASS_REGULAR_EXPRESSION "Bits/${arg_HAS} ")
  if(arg_LACKS)
    set_tests_properties(kernels_${cpu}_choice PROPERTIES FAIL_REGULAR_EXPRESSION "Bits/${arg_LACKS}")
  endif()
  set(tests kernels_${cpu}_choice)
  foreach(filter IN LISTS arg_FILTERS)
    list(LENGTH tests number)
    add_test(NAME kernels_${cpu}_${number} COMMAND qasr_backend_test --gtest_filter=${filter})
    list(APPEND tests kernels_${cpu}_${number})
  endforeach()
  set_tests_properties(${tests} PROPERTIES LABELS kernels TIMEOUT 900 ENVIRONMENT QEMU_CPU=${cpu})
endfunction()

# What is computed in floats is the same code in all of them: once is enough. The longest tests are left out: the others
# meet the same tiles, in fewer shapes.
add_emulated_tests(
  max HAS neon_i8mm
  FILTERS Isa/QuantizedTest.*/neon*-Isa/QuantizedTest.GateUp*
          CpuBackend.*:Isa/*/neon_i8mm-Isa/LinearTest.Agrees*:Isa/LinearTest.GateUp*:Isa/QuantizedTest.*)
add_emulated_tests(neoverse-n1 HAS neon_dotprod LACKS neon_i8mm FILTERS CpuBackend.*:Isa/QuantizedTest.Head*)
add_emulated_tests(cortex-a53 HAS neon LACKS neon_ FILTERS CpuBackend.*:Isa/QuantizedTest.Head*:Isa/RowwiseTest.*)
