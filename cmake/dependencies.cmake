# Everything third-party, in one interface target. What each is for: docs/dependencies.md.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS C)
find_package(dnnl REQUIRED)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.13)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(LIBAV REQUIRED IMPORTED_TARGET libavformat libavcodec libswscale libavutil)

add_library(kn-dependencies INTERFACE)
target_link_libraries(kn-dependencies INTERFACE
  DNNL::dnnl PkgConfig::JANSSON PkgConfig::UTF8PROC PkgConfig::LIBAV OpenMP::OpenMP_C Threads::Threads m)
