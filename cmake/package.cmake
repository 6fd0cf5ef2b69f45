# What installing adds beside the program, and the Debian package: `make deb`.
configure_file(${PROJECT_SOURCE_DIR}/packaging/install.cmake.in ${CMAKE_BINARY_DIR}/packaging/install.cmake @ONLY)
install(CODE "set(KN_INSTALLED_PROGRAM \"$<TARGET_FILE:kinora>\")")
install(SCRIPT ${CMAKE_BINARY_DIR}/packaging/install.cmake)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME kinora)
set(CPACK_PACKAGE_CONTACT "the Kinora authors <kinora@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "local AI video studio")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
  "Makes videos from text and pictures on your own machine, with models as they
lie on Hugging Face. One native program: a command line, and a studio with a
queue, a page and an HTTP API. A small model comes along.")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION video)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${PROJECT_SOURCE_DIR}/packaging/postinst ${PROJECT_SOURCE_DIR}/packaging/prerm ${PROJECT_SOURCE_DIR}/packaging/postrm)

# dpkg-shlibdeps finds what is linked. FFmpeg is loaded when it is needed (src/media/av_load.c), in exactly the version of
# the headers, and so are libcurl and libcrypto (src/hub/libs.c), whose packages have two names.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(loaded "libcurl4 | libcurl4t64" "libssl3 | libssl3t64")
foreach(library avformat avcodec swscale avutil)
  string(REGEX MATCH "^[0-9]+" major "${LIBAV_lib${library}_VERSION}")
  set(package lib${library}${major})
  if(library MATCHES "^av(format|codec)$") # each has a twin with more codecs
    string(APPEND package " | lib${library}-extra${major}")
  endif()
  list(APPEND loaded "${package}")
endforeach()
list(JOIN loaded ", " CPACK_DEBIAN_PACKAGE_DEPENDS)
include(CPack)
