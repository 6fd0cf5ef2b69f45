# Everything third-party, in one interface target. What each is for: docs/dependencies.md.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS C)

# Debian's own dnnl-config.cmake demands OpenCL's headers for a GPU runtime that is not used here.
find_path(DNNL_INCLUDE_DIR dnnl.h REQUIRED)
find_library(DNNL_LIBRARY dnnl REQUIRED)
add_library(kn-dnnl INTERFACE)
target_include_directories(kn-dnnl SYSTEM INTERFACE ${DNNL_INCLUDE_DIR})
target_link_libraries(kn-dnnl INTERFACE ${DNNL_LIBRARY})

pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.13)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3>=3.38)
pkg_check_modules(MICROHTTPD REQUIRED IMPORTED_TARGET libmicrohttpd>=0.9.75)
# Debian's wslay has no pkg-config file.
find_path(WSLAY_INCLUDE_DIR wslay/wslay.h REQUIRED)
find_library(WSLAY_LIBRARY wslay REQUIRED)
# Headers only: the libraries are loaded when they are first needed (src/media/av.h).
pkg_check_modules(LIBAV REQUIRED libavformat libavcodec libswscale libavutil)
# The same (src/hub/libs.h).
pkg_check_modules(CURL REQUIRED libcurl>=7.85)
pkg_check_modules(CRYPTO REQUIRED libcrypto>=3.0)

add_library(kn-dependencies INTERFACE)
target_link_libraries(kn-dependencies INTERFACE
  kn-dnnl PkgConfig::JANSSON PkgConfig::UTF8PROC PkgConfig::SQLITE PkgConfig::MICROHTTPD ${WSLAY_LIBRARY} OpenMP::OpenMP_C Threads::Threads m ${CMAKE_DL_LIBS})
target_include_directories(kn-dependencies SYSTEM INTERFACE
  ${LIBAV_INCLUDE_DIRS} ${CURL_INCLUDE_DIRS} ${CRYPTO_INCLUDE_DIRS})
