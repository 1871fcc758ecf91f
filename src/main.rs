//! The `vgh` program: see `vgh::cli`.
// Training frees and takes the same blocks in every step; the system's
// allocator returns them to the kernel each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ! {
    vgh::cli::main()
}
