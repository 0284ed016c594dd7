{
  description = "ironstar: live, event-sourced web applications in Rust";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    rust-overlay = {
      url = "github:oxalica/rust-overlay";
      inputs.nixpkgs.follows = "nixpkgs";
    };
  };

  outputs =
    {
      self,
      nixpkgs,
      rust-overlay,
    }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      eachSystem =
        build:
        nixpkgs.lib.genAttrs systems (
          system:
          build (
            import nixpkgs {
              inherit system;
              overlays = [ rust-overlay.overlays.default ];
            }
          )
        );
      toolchain = pkgs: pkgs.rust-bin.fromRustupToolchainFile ./rust-toolchain.toml;
    in
    {
      packages = eachSystem (
        pkgs:
        let
          platform = pkgs.makeRustPlatform {
            cargo = toolchain pkgs;
            rustc = toolchain pkgs;
          };
        in
        {
          default = platform.buildRustPackage {
            pname = "ironstar-server";
            version = "0.1.0";
            src = self;
            cargoLock.lockFile = ./Cargo.lock;
            cargoBuildFlags = [
              "--package"
              "ironstar-server"
            ];
            # The tests start servers and browsers: run them in the shell.
            doCheck = false;
            meta.mainProgram = "ironstar-server";
          };
        }
      );

      devShells = eachSystem (pkgs: {
        default = pkgs.mkShell {
          packages = [
            (toolchain pkgs)
            pkgs.cargo-deny
            pkgs.nodejs
            pkgs.postgresql
            pkgs.sqlite
          ]
          ++ pkgs.lib.optional pkgs.stdenv.isLinux pkgs.chromium;
        };
      });
    };
}
