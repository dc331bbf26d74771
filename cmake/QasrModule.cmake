# qasr_add_module(<name> SOURCES <files...> [DEPENDS <modules...>] [LINK <libraries...>] [TESTS <files...>])
#
# One folder of src/ as a static library `qasr_<name>` with, in developer mode, one test program `qasr_<name>_test`.
# All modules together become the library `qasr` (src/CMakeLists.txt), so a module's name never reaches users.
function(qasr_add_module name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS;LINK;TESTS" ${ARGN})
  set(target qasr_${name})
  add_library(${target} STATIC ${arg_SOURCES})
  qasr_target_defaults(${target})
  list(TRANSFORM arg_DEPENDS PREPEND qasr_)
  target_link_libraries(${target} PUBLIC ${arg_DEPENDS} PRIVATE ${arg_LINK})
  set_property(GLOBAL APPEND PROPERTY QASR_MODULES ${target})
  set_property(GLOBAL APPEND PROPERTY QASR_LINK_LIBRARIES ${arg_LINK})
  if(QASR_DEVELOPER AND arg_TESTS)
    qasr_add_test(${target}_test LABEL unit SOURCES ${arg_TESTS} LINK ${target} ${arg_LINK})
  endif()
endfunction()

# qasr_add_test(<target> LABEL <label...> SOURCES <files...> LINK <libraries...> [TIMEOUT <seconds>])
function(qasr_add_test target)
  cmake_parse_arguments(arg "" "TIMEOUT" "LABEL;SOURCES;LINK" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  add_executable(${target} ${arg_SOURCES})
  qasr_target_defaults(${target})
  qasr_compiles_fast(${target})
  if(CMAKE_CXX_FLAGS MATCHES "undefined")
    target_compile_options(${target} PRIVATE -fno-sanitize=undefined)  # no foreign bytes in the tests themselves
  endif()
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(${target} PRIVATE QASR_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                                               QASR_BINARY_DIR="${PROJECT_BINARY_DIR}")
  target_link_libraries(${target} PRIVATE ${arg_LINK} GTest::gtest GTest::gmock GTest::gtest_main)
  add_test(NAME ${target} COMMAND ${target} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${target} PROPERTIES LABELS "${arg_LABEL}" TIMEOUT ${arg_TIMEOUT}
                                             COST ${arg_TIMEOUT})  # the longest start first
endfunction()

# For what computes nothing: with -O1 it compiles in two thirds of the time.
function(qasr_compiles_fast target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
endfunction()

function(qasr_target_defaults target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                              $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>)
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden
                                             VISIBILITY_INLINES_HIDDEN ON CXX_EXTENSIONS OFF
                                             CUDA_VISIBILITY_PRESET hidden)
  target_link_libraries(${target} PUBLIC Threads::Threads)
endfunction()
