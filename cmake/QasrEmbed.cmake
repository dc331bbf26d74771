# qasr_embed_checkpoint(SOURCES symbol directory): the files of a checkpoint as read-only data of a program.
#
# Generates in the current binary directory SYMBOL_data.S (the bytes) and SYMBOL_files.inc, a list of
# QASR_EMBEDDED_FILE(index, "name") for the code that hands them out; the bytes of file i lie between the symbols
# qasr_SYMBOL_i_begin and qasr_SYMBOL_i_end. SOURCES is set to what the target must compile. Without a directory the list is
# empty.
function(qasr_embed_checkpoint sources symbol directory)
  set(files "")
  if(directory)
    file(GLOB files CONFIGURE_DEPENDS ${directory}/*.json ${directory}/merges.txt ${directory}/*.safetensors)
    if(NOT files)
      message(FATAL_ERROR "no checkpoint to embed in ${directory}")
    endif()
  endif()
  set(EMBED_SYMBOL ${symbol})
  set(EMBED_DATA "")
  set(list "")
  set(index 0)
  foreach(file ${files})
    get_filename_component(name ${file} NAME)
    string(APPEND EMBED_DATA "FILE_DATA(${index}, \"${file}\")\n")
    string(APPEND list "QASR_EMBEDDED_FILE(${index}, \"${name}\")\n")
    math(EXPR index "${index} + 1")
  endforeach()
  set(assembler ${CMAKE_CURRENT_BINARY_DIR}/${symbol}_data.S)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/embedded_data.S.in ${assembler} @ONLY)
  file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/${symbol}_files.inc CONTENT "${list}" @ONLY)
  set_source_files_properties(${assembler} PROPERTIES OBJECT_DEPENDS "${files}")
  set(${sources} ${assembler} PARENT_SCOPE)
endfunction()
