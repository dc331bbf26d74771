# What `cmake --install` puts where: headers, library, CMake package, pkg-config file, program, demonstration models, docs.
include(CMakePackageConfigHelpers)

target_include_directories(qasr INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
set_target_properties(qasr PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})

install(TARGETS qasr EXPORT qasrTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/qasr DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/qasr)
install(EXPORT qasrTargets NAMESPACE qasr:: DESTINATION ${package_dir})
configure_package_config_file(cmake/qasrConfig.cmake.in qasrConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(qasrConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/qasrConfig.cmake ${PROJECT_BINARY_DIR}/qasrConfigVersion.cmake
        DESTINATION ${package_dir})

file(RELATIVE_PATH pc_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
# A static libqasr needs FFmpeg, ICU and KissFFT at its users' link step. pkg-config's own --static would ask for static
# versions of those as well, which distributions do not ship.
if(BUILD_SHARED_LIBS)
  set(pc_private .private)
  set(pc_static_libs "")
else()
  set(pc_private "")
  set(pc_static_libs " -lstdc++ -lm -pthread")
  if(QASR_HAVE_CUDA)
    string(APPEND pc_static_libs " ${CUDA_cudart_static_LIBRARY} -ldl -lrt")
  endif()
endif()
configure_file(cmake/qasr.pc.in qasr.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/qasr.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(DIRECTORY models/demo-en models/demo-aligner-en DESTINATION ${CMAKE_INSTALL_DATADIR}/qasr/models)
install(FILES README.md CHANGELOG.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs FILES_MATCHING PATTERN "*.md")
