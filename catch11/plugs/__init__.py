"""Where others take releases and recoders up: loaders, transforms, processors, and descriptions for them."""
