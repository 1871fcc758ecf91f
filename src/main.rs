//! The `vgh` program: see `vgh::cli`.
// Training frees and takes the same blocks in every step; the system's
// allocator returns them to the kernel each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs before everything else: the allocator takes its first memory before `main`.
#[cfg(target_os = "linux")]
#[used]
// SAFETY: the section holds addresses of functions like this one, each called once.
#[unsafe(link_section = ".init_array.00001")]
static FIRST: extern "C" fn() = {
    extern "C" fn first() {
        vgh::stage::allow_huge_pages(false);
    }
    first
};

fn main() -> ! {
    vgh::cli::main()
}
