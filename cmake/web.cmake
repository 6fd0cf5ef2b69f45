# The page, built from web/ and part of the program: node and npm are needed, and a build without them fails.
file(GLOB_RECURSE KN_WEB_SOURCES CONFIGURE_DEPENDS
  ${PROJECT_SOURCE_DIR}/web/src/*.ts ${PROJECT_SOURCE_DIR}/web/src/*.tsx ${PROJECT_SOURCE_DIR}/web/src/*.css)
add_custom_command(
  OUTPUT ${CMAKE_BINARY_DIR}/web_assets.c
  COMMAND ${PROJECT_SOURCE_DIR}/tools/build-web.sh ${CMAKE_BINARY_DIR}
  DEPENDS ${KN_WEB_SOURCES} ${PROJECT_SOURCE_DIR}/tools/build-web.sh
    ${PROJECT_SOURCE_DIR}/web/index.html ${PROJECT_SOURCE_DIR}/web/icon.svg ${PROJECT_SOURCE_DIR}/web/tsconfig.json
    ${PROJECT_SOURCE_DIR}/web/package.json ${PROJECT_SOURCE_DIR}/web/package-lock.json
  COMMENT "The page"
  VERBATIM)
add_library(kinora-web STATIC ${CMAKE_BINARY_DIR}/web_assets.c)
target_include_directories(kinora-web PRIVATE ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(kinora-web PRIVATE kn-warnings)
