CREATE TABLE IF NOT EXISTS `player_vehicles` (
    `id`     INT          NOT NULL AUTO_INCREMENT,
    `owner`  VARCHAR(12)  NOT NULL,
    `plate`  VARCHAR(8)   NOT NULL,
    `model`  VARCHAR(40)  NOT NULL,
    `garage` VARCHAR(40)  NOT NULL DEFAULT 'legion',
    `stored` TINYINT(1)   NOT NULL DEFAULT 1,
    `fuel`   FLOAT        NOT NULL DEFAULT 100,
    `engine` FLOAT        NOT NULL DEFAULT 1000,
    `body`   FLOAT        NOT NULL DEFAULT 1000,
    `km`     INT          NOT NULL DEFAULT 0,
    `mods`   LONGTEXT     NULL DEFAULT NULL,
    PRIMARY KEY (`id`),
    UNIQUE KEY `plate` (`plate`),
    KEY `owner` (`owner`, `stored`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
