add_library(kn-warnings INTERFACE)
target_compile_options(kn-warnings INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wvla
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes> $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes>
  -Wpointer-arith -Wundef -fno-common -fno-math-errno -ffp-contract=off)
if(KN_WERROR)
  target_compile_options(kn-warnings INTERFACE -Werror)
endif()
if(KN_SANITIZE)
  target_compile_options(kn-warnings INTERFACE -fsanitize=${KN_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(kn-warnings INTERFACE -fsanitize=${KN_SANITIZE})
endif()
if(KN_FUZZ)
  target_compile_options(kn-warnings INTERFACE -fsanitize=fuzzer-no-link)
endif()
