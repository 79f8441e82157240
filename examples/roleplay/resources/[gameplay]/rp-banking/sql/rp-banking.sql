CREATE TABLE IF NOT EXISTS `bank_accounts` (
    `iban`    VARCHAR(20) NOT NULL,
    `owner`   VARCHAR(40) NOT NULL,
    `kind`    VARCHAR(12) NOT NULL DEFAULT 'savings',
    `balance` BIGINT      NOT NULL DEFAULT 0,
    `opened`  BIGINT      NOT NULL,
    PRIMARY KEY (`iban`),
    KEY `owner` (`owner`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS `bank_transactions` (
    `id`      INT          NOT NULL AUTO_INCREMENT,
    `account` VARCHAR(40)  NOT NULL,
    `amount`  BIGINT       NOT NULL,
    `balance` BIGINT       NOT NULL,
    `other`   VARCHAR(40)  NULL DEFAULT NULL,
    `memo`    VARCHAR(100) NOT NULL DEFAULT '',
    `at`      BIGINT       NOT NULL,
    PRIMARY KEY (`id`),
    KEY `account` (`account`, `id`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
