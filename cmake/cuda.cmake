# libkinora-cuda.so: needs nvcc, cuBLASLt and the CUDA headers; no card and no driver.
if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80-real 86-real 89-real 90-real 90-virtual) # the last one: PTX for what comes later
endif()
find_program(KN_NVCC nvcc HINTS /usr/local/cuda/bin ENV CUDA_PATH PATH_SUFFIXES bin)
if(KN_NVCC AND NOT CMAKE_CUDA_COMPILER)
  set(CMAKE_CUDA_COMPILER ${KN_NVCC})
endif()
enable_language(CUDA)
find_package(CUDAToolkit REQUIRED)

file(GLOB KN_CUDA_SOURCES CONFIGURE_DEPENDS src/tensor/cuda/*.c src/tensor/cuda/*.cu)
add_library(kinora-cuda MODULE ${KN_CUDA_SOURCES} ${KN_CUDA_SHARED})
target_include_directories(kinora-cuda PRIVATE src)
target_compile_definitions(kinora-cuda PRIVATE KN_VERSION="${PROJECT_VERSION}")
target_compile_options(kinora-cuda PRIVATE $<$<COMPILE_LANGUAGE:C>:-Wall;-Wextra;-Wshadow>)
set_target_properties(kinora-cuda PROPERTIES
  CUDA_STANDARD 17 POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden CUDA_VISIBILITY_PRESET hidden)
target_link_libraries(kinora-cuda PRIVATE CUDA::cudart_static CUDA::cublasLt Threads::Threads ${CMAKE_DL_LIBS})
install(TARGETS kinora-cuda LIBRARY DESTINATION lib/kinora)
