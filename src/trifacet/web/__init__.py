"""What pages and local servers share: templates that escape, style, charts, pictures, access, guards."""
