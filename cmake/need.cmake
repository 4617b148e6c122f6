# What must be there: all that is missing is told at once, by its Debian package.

function(kolk_need what package found)
	set_property(GLOBAL APPEND PROPERTY KOLK_NEEDED_PACKAGES ${package})
	if(NOT found)
		set_property(GLOBAL APPEND PROPERTY KOLK_MISSING_PACKAGES ${package})
		message(STATUS "missing: ${what} (Debian package ${package})")
	endif()
endfunction()

# Before project(): it stops at these without a word about packages.
function(kolk_need_build_tools)
	find_program(KOLK_CC NAMES $ENV{CC} ${CMAKE_C_COMPILER} cc gcc clang NO_CACHE)
	kolk_need("a C compiler" "gcc;libc6-dev" "${KOLK_CC}")
	if(CMAKE_GENERATOR MATCHES Ninja)
		find_program(KOLK_NINJA NAMES ${CMAKE_MAKE_PROGRAM} ninja ninja-build NO_CACHE)
		kolk_need(ninja ninja-build "${KOLK_NINJA}")
	endif()
	find_program(KOLK_PKG_CONFIG NAMES $ENV{PKG_CONFIG} pkg-config NO_CACHE)
	kolk_need(pkg-config pkg-config "${KOLK_PKG_CONFIG}")
	kolk_need_all()
endfunction()

function(kolk_need_all)
	get_property(packages GLOBAL PROPERTY KOLK_MISSING_PACKAGES)
	if(packages)
		list(REMOVE_DUPLICATES packages)
		list(JOIN packages " " packages)
		# Lines that begin with a space are not wrapped.
		message(FATAL_ERROR "These packages are missing:\n  apt-get install ${packages}\n"
			"All that kolk needs (tools/packages):\n  tools/install-packages build")
	endif()
endfunction()

macro(kolk_need_module prefix module package)
	pkg_check_modules(${prefix} QUIET ${module})
	kolk_need(${module} ${package} "${${prefix}_FOUND}")
endmacro()

macro(kolk_need_header variable header package)
	find_path(${variable} ${header})
	kolk_need(${header} ${package} "${${variable}}")
endmacro()

macro(kolk_need_library variable library package)
	find_library(${variable} ${library})
	kolk_need(lib${library} ${package} "${${variable}}")
endmacro()
